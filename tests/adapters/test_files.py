"""Files are read within bounds and written all or none, whatever goes wrong in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_gitops import Edit
from ci_gitops.adapters import files
from ci_gitops.errors import EditError
from tests.rig.cli import Cli


def edit(path: Path, new: str) -> Edit:
    return Edit(str(path), path.read_bytes().decode(), new)


def test_text_is_read_and_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("\ufeffä: 1\r\n".encode())
    assert files.read_text(path, tmp_path) == "\ufeffä: 1\r\n"
    files.write_all([edit(path, "\ufeffä: 2\r\n")])
    assert path.read_bytes() == "\ufeffä: 2\r\n".encode()


@pytest.mark.parametrize("name", ["../outside.yaml", "link.yaml", "folder/outside.yaml", "/etc/hostname"])
def test_what_leads_out_of_the_tree_is_refused(tmp_path: Path, name: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "outside.yaml").write_text("a: 1\n")
    (tree / "link.yaml").symlink_to("../outside.yaml")
    (tree / "folder").symlink_to("..")
    with pytest.raises(EditError, match="leads out of"):
        files.read_text(tree / name, tree)


def test_a_link_within_the_tree_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\n")
    (tmp_path / "b.yaml").symlink_to("a.yaml")
    assert files.read_text(tmp_path / "b.yaml", tmp_path) == "a: 1\n"
    files.write_all([edit(tmp_path / "b.yaml", "a: 2\n")])
    assert (tmp_path / "b.yaml").is_symlink()
    assert (tmp_path / "a.yaml").read_text() == "a: 2\n"


def test_the_tree_is_the_git_repository_or_the_folder(tmp_path: Path) -> None:
    (tmp_path / "repo/.git").mkdir(parents=True)
    (tmp_path / "repo/a/b").mkdir(parents=True)
    trees = files.Trees()
    assert trees.of(tmp_path / "repo/a/b/x.yaml") == tmp_path / "repo"
    assert trees.of(tmp_path / "repo/a/y.yaml") == tmp_path / "repo"
    assert trees.of(tmp_path / "z.yaml") == tmp_path


def test_yaml_files_are_found_in_order_and_links_are_not_followed(tmp_path: Path) -> None:
    for name in ("b/x.yml", "a.yaml", "b/.git/config.yaml", "c.txt", "b/Kustomization", "d.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in files.yaml_files(tmp_path, ("Kustomization",))]
    assert found == ["a.yaml", "b/Kustomization", "b/x.yml", "d.json"]


def test_a_file_that_went_away_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    gone = edit(path, "new")
    path.unlink()
    with pytest.raises(EditError, match=r"a\.yaml cannot be written: No such file"):
        files.write_all([gone])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def mount_point(tmp_path: Path) -> Iterator[Path]:
    """A file that can be written, but not be replaced: it is a mount point."""
    path = tmp_path / "mounted.yaml"
    path.write_text("old")
    done = subprocess.run(["mount", "--bind", path, path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_rename_that_fails_takes_back_those_before_it(tmp_path: Path, mount_point: Path) -> None:
    first, last = tmp_path / "a.yaml", tmp_path / "z.yaml"
    first.write_text("old")
    last.write_text("old")
    with pytest.raises(EditError, match=r"mounted\.yaml cannot be written: Device or resource busy"):
        files.write_all([edit(first, "new"), edit(mount_point, "new"), edit(last, "new")])
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a.yaml": "old",
        "mounted.yaml": "old",
        "z.yaml": "old",
    }


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_leaves_all_files_old_or_all_new(cli: Cli, tmp_path: Path, stop: signal.Signals) -> None:
    folders = [tmp_path / f"f{number}" for number in range(400)]
    for folder in folders:
        folder.mkdir()
        (folder / "kustomization.yaml").write_text("images:\n- name: a\n  newTag: v1\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "ci_gitops", "set-image", "a:v2", *(f"--path={folder}" for folder in folders)],
        env=cli.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and len(os.listdir(folders[200])) == 1:  # noqa: PTH208 - until it is staged
        pass
    process.send_signal(stop)
    assert process.wait(60) in (0, 130)
    assert len({(folder / "kustomization.yaml").read_text() for folder in folders}) == 1
    assert not [path for folder in folders for path in folder.iterdir() if path.name != "kustomization.yaml"]
