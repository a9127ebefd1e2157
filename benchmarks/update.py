"""`update` against bare git: one in a large repository, and fifty at once on one branch."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import Row, in_turns, process, seconds
from tests.rig.git_server import GitServer, run_git

FILES = 10_000
COMMITS = 2_000
WRITERS = 50
BRANCH = "main"
_FOLDER = "apps/shop/overlays/staging"
_PATH = f"{_FOLDER}/kustomization.yaml"
_IDENTITY = {
    f"GIT_{role}_{what}": "bench@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


def measure() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "git").mkdir()
        with GitServer(root / "git") as server:
            bench = Bench(root, server)
            yield bench.large()
            yield bench.many()


class Bench:
    def __init__(self, root: Path, server: GitServer) -> None:
        self.root, self.server = root, server
        self.clean = {"PATH": os.environ["PATH"], "HOME": str(root)}
        self.number = 0

    def large(self) -> Row:
        """One update in a repository of many files and commits; the bound leaves room for one start of Python."""
        files = {f"f/{number % 100}/{number}.yaml": b"value: %d\n" % number for number in range(FILES)}
        url = self.server.create("large", {_PATH: _overlay(1), **files})
        _history(self.server.bare("large"), COMMITS)
        ours, theirs = in_turns(lambda: self._update(url, 0), lambda: self._bare(url), times=7)
        start = statistics.median([seconds(process(sys.executable, "-m", "ci_gitops", "--version")) for _ in range(7)])
        shown = [each - start for each in ours]
        return Row(f"update, {FILES} files and {COMMITS} commits, less one --version", shown, theirs, bound=1.5)

    def many(self) -> Row:
        """All at once on one branch and one file, against as many rounds of bare git one after the other."""
        url = self.server.create("shared", {_PATH: _overlay(WRITERS)})
        serial = self.server.create("serial", {_PATH: _overlay(WRITERS)})
        self._bare(serial)
        rounds = seconds(lambda: [self._bare(serial) for _ in range(WRITERS)])
        took = seconds(lambda: self._at_once(url))
        landed = self.server.read("shared", _PATH).count(b"v2")
        if landed != WRITERS or len(self.server.messages("shared")) != WRITERS + 1:
            raise SystemExit(f"{landed} of {WRITERS} updates landed")
        return Row(f"{WRITERS} updates at once, against {WRITERS} serial rounds", [took], [rounds], bound=3.0)

    def _at_once(self, url: str) -> None:
        running = [subprocess.Popen(self._words(url, number, "v2"), env=self._env(), stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL) for number in range(WRITERS)]  # fmt: skip
        codes = [process.wait() for process in running]
        if any(codes):
            raise SystemExit(f"updates failed: {codes}")

    def _update(self, url: str, image: int) -> None:
        self.number += 1
        subprocess.run(self._words(url, image, f"w{self.number}"), env=self._env(), check=True, capture_output=True)

    def _words(self, url: str, image: int, tag: str) -> Sequence[str]:
        words = (sys.executable, "-m", "ci_gitops", "update", "--repo", url, "--environment", "staging")
        return (*words, f"registry.example.com/app{image}:{tag}")

    def _env(self) -> dict[str, str]:
        return {**self.clean, "CI_GITOPS_TOKEN": self.server.password, "PYTHONPATH": str(Path.cwd())}

    def _bare(self, url: str) -> None:
        """What a careful script does: shallow, blobless, sparse."""
        self.number += 1
        clone = self.root / f"clone-{self.number}"
        address = url.replace("://", f"://{self.server.user}:{self.server.password}@")
        env = {**self.clean, **_IDENTITY}
        self._git(env, "clone", "--quiet", "--depth=1", "--filter=blob:none", "--sparse", address, str(clone))
        self._git(env, "-C", str(clone), "sparse-checkout", "set", _FOLDER)
        file = clone / _PATH
        file.write_text(file.read_text() + f"# {self.number}\n")
        self._git(env, "-C", str(clone), "commit", "--quiet", "--all", "--message", "Update")
        self._git(env, "-C", str(clone), "push", "--quiet")
        shutil.rmtree(clone)

    @staticmethod
    def _git(env: dict[str, str], *words: str) -> None:
        subprocess.run(["git", *words], env=env, check=True, capture_output=True)


def _overlay(images: int) -> bytes:
    entries = "".join(f"- name: registry.example.com/app{number}\n  newTag: v1\n" for number in range(images))
    return f"resources: []\nimages:\n{entries}".encode()


def _history(bare: Path, count: int) -> None:
    stream = []
    for number in range(count):
        text = b"%d\n" % number
        stream.append(f"commit refs/heads/{BRANCH}\n".encode())
        stream.append(f"committer Somebody <somebody@example.com> {1_760_000_000 + number} +0000\n".encode())
        stream.append(b"data 7\nChange\n")
        stream.append(b"" if number else f"from refs/heads/{BRANCH}^0\n".encode())
        stream.append(f"M 100644 inline f/{number % 100}/{number}.yaml\ndata {len(text)}\n".encode() + text)
    run_git("--git-dir", bare, "fast-import", "--quiet", "--force", stdin=b"".join(stream))
    run_git("--git-dir", bare, "repack", "-a", "-d", "-q")
