from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci_gitops.adapters.git import Repository
from ci_gitops.adapters.git_access import access_for
from ci_gitops.adapters.tree import laid_out
from ci_gitops.errors import GitError


def git(folder: Path, *words: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words],
        cwd=folder, input=stdin, capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.decode().strip()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "base").mkdir(parents=True)
    (folder / "base/web.yaml").write_bytes(b"a: 1\r\n")
    (folder / "link.yaml").symlink_to("base/web.yaml")
    (folder / "out.yaml").symlink_to("../../etc/passwd")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Start")
    return folder


def test_files_are_laid_out_without_links_and_git(source: Path) -> None:
    with Repository.open(str(source), access_for(str(source), {})) as repository:
        revision = repository.fetch("HEAD")
        with laid_out(repository, revision, {"base/web.yaml": b"a: 2\n", "new/file.yaml": b"b"}) as folder:
            there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
            assert there == {"base/web.yaml", "link.yaml", "new/file.yaml"}
            assert (folder / "base/web.yaml").read_bytes() == b"a: 2\n"
            assert (folder / "link.yaml").read_bytes() == b"a: 1\r\n"
            assert not (folder / "link.yaml").is_symlink()
        assert not folder.exists()


def test_a_tree_that_leads_out_is_refused(source: Path, tmp_path: Path) -> None:
    blob = git(source, "hash-object", "-w", "--stdin", stdin=b"x")
    inner = git(source, "mktree", stdin=f"100644 blob {blob}\tevil.yaml\n".encode())
    raw = b"40000 ..\0" + bytes.fromhex(inner)
    tree = git(source, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    commit = git(source, "commit-tree", tree, "-m", "evil")
    git(source, "update-ref", "refs/heads/main", commit)
    with Repository.open(str(source), access_for(str(source), {})) as repository:
        revision = repository.fetch("main")
        with pytest.raises(GitError, match="leads out"), laid_out(repository, revision):
            pass
    assert not (tmp_path / "evil.yaml").exists()
