"""What the servers of forges do with Git when they merge: in a bare repository, without a work tree."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.rig.git_server import run_git


@dataclass(frozen=True)
class BareGit:
    """One repository, as its server has it."""

    path: Path
    environ: Callable[[], Mapping[str, str]] = field(default=dict, compare=False)  # whose its commits are, and when

    def run(self, *arguments: str, stdin: str = "") -> str:
        return run_git("--git-dir", self.path, *arguments, stdin=stdin.encode(), env=self.environ()).strip()

    def head(self, branch: str) -> str:
        """The commit of a branch; "" where there is none. Read from its file where it has one: this is asked often."""
        file = self.path / "refs/heads" / branch
        if file.is_file():
            return file.read_text().strip()
        return self.run("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    @functools.cache  # noqa: B019 - what is true of commits stays so
    def holds(self, commit: str, ancestor: str) -> bool:
        done = subprocess.run(
            ["git", "--git-dir", self.path, "merge-base", "--is-ancestor", ancestor, commit], check=False,
            capture_output=True,
        )  # fmt: skip
        return done.returncode == 0

    def has(self, commit: str) -> bool:
        done = subprocess.run(
            ["git", "--git-dir", self.path, "cat-file", "-e", f"{commit}^{{commit}}"], check=False, capture_output=True
        )
        return done.returncode == 0

    @functools.cache  # noqa: B019
    def merged_tree(self, ours: str, theirs: str) -> str | None:
        """The tree of both; None where they conflict."""
        done = subprocess.run(
            ["git", "--git-dir", self.path, "merge-tree", "--write-tree", ours, theirs], check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.split()[0] if done.returncode == 0 else None

    def commit(self, tree: str, parents: list[str], message: str) -> str:
        marks = [word for parent in parents for word in ("-p", parent)]
        return self.run("commit-tree", tree, *marks, "-F", "-", stdin=message)

    def rebased(self, base: str, head: str) -> str:
        """The commits of `head` one by one on top of `base`; always new ones."""
        top = base
        for commit in self.run("rev-list", "--reverse", f"{base}..{head}").split():
            tree = self.merged_tree(base, commit)
            assert tree, "it was asked whether it merges"
            top = self.commit(tree, [top], self.run("log", "-1", "--format=%B", commit))
        return top

    def move(self, branch: str, new: str, old: str) -> None:
        self.run("update-ref", f"refs/heads/{branch}", new, old)

    def delete(self, branch: str) -> None:
        self.run("update-ref", "-d", f"refs/heads/{branch}")
