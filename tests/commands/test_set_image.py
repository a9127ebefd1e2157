"""`ci-gitops set-image` as users call it: files, folders, dry runs, documents, and everything that can be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.rig.cli import Cli

D1 = "sha256:" + "1" * 64
KUSTOMIZATION = "# head\nimages:\n- name: app # x\n  newName: r.io/app\n  newTag: 'v1'\n"


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    folder = tmp_path / "overlay"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(KUSTOMIZATION)
    return folder


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder, so that a test can say that nothing was written."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_kustomization_of_the_current_folder(cli: Cli, overlay: Path) -> None:
    ran = cli("set-image", "app:v2", cwd=overlay)
    assert ran.code == 0, ran.err
    assert ran.out == "kustomization.yaml\n  images[0].newTag: v1 -> v2\n1 file changed.\n"
    assert (overlay / "kustomization.yaml").read_text() == KUSTOMIZATION.replace("v1", "v2")
    again = cli("set-image", "app:v2", cwd=overlay)
    assert (again.code, again.out) == (0, "Nothing to do: 1 file says so already.\n")


@pytest.mark.parametrize("name", ["kustomization.yml", "Kustomization"])
def test_the_other_file_names(cli: Cli, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("kind: Component\r\nimages:\r\n- name: app\r\n")
    assert cli("set-image", "app:1.10", "--path", tmp_path).code == 0
    expected = b'kind: Component\r\nimages:\r\n- name: app\r\n  newTag: "1.10"\r\n'
    assert (tmp_path / name).read_bytes() == expected


def test_the_document(cli: Cli, overlay: Path) -> None:
    ran = cli("-o", "json", "set-image", f"app:v2@{D1}", "new=r.io/new:v1", "--path", overlay)
    assert ran.json == {
        "apiVersion": "ci-gitops/v1",
        "kind": "EditResult",
        "files": [
            {
                "path": f"{overlay}/kustomization.yaml",
                "changes": [
                    {"field": "images[0].newTag", "old": "v1", "new": "v2"},
                    {"field": "images[0].digest", "old": None, "new": D1},
                    {"field": "images[1].name", "old": None, "new": "new"},
                    {"field": "images[1].newName", "old": None, "new": "r.io/new"},
                    {"field": "images[1].newTag", "old": None, "new": "v1"},
                ],
                "notes": [],
            }
        ],
        "dryRun": False,
    }
    again = cli("-o", "yaml", "set-image", f"app:v2@{D1}", "new=r.io/new:v1", "--path", overlay)
    assert yaml.safe_load(again.out)["files"] == []


def test_a_dry_run_shows_the_diff_and_writes_nothing(cli: Cli, overlay: Path) -> None:
    before = tree(overlay)
    ran = cli("set-image", "app:v2", "--dry-run", cwd=overlay)
    assert ran.code == 0
    assert "-  newTag: 'v1'\n+  newTag: 'v2'\n" in ran.out
    assert "1 file would change; nothing was written." in ran.out
    assert (
        "+  newTag: 'v2'" in cli("-o", "json", "set-image", "app:v2", "--dry-run", cwd=overlay).json["files"][0]["diff"]
    )
    assert tree(overlay) == before


def test_what_is_dropped_is_said(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(f"images:\n- name: app\n  newTag: v1\n  digest: {D1}\n")
    ran = cli("-o", "json", "set-image", "app:v2", cwd=tmp_path)
    note = f"app: the digest {D1} was of the image before and is dropped."
    assert ran.json["files"][0]["notes"] == [note]
    assert f"kustomization.yaml: {note}" in ran.err


def test_many_paths_of_every_kind_in_one_call(cli: Cli, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kustomization.yaml").write_text("resources: []\n")
    (tmp_path / "values.yaml").write_text("image:\n  repository: app\n  tag: v1\n")
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nspec: {containers: [{image: app}]}\n")
    ran = cli(
        "set-image", "app:v2", *[f"--path={name}" for name in ("a", "b", "a", "values.yaml", "pod.yaml")], cwd=tmp_path
    )
    assert ran.code == 0, ran.err
    assert "4 files changed." in ran.out
    assert (tmp_path / "b/kustomization.yaml").read_text().endswith("images:\n- name: app\n  newTag: v2\n")
    assert "tag: v2" in (tmp_path / "values.yaml").read_text()
    assert "{image: app:v2}" in (tmp_path / "pod.yaml").read_text()


def test_recursive_changes_what_declares_the_image_and_nothing_else(cli: Cli, tmp_path: Path) -> None:
    files = {
        "apps/a/kustomization.yaml": KUSTOMIZATION,
        "apps/b/kustomization.yaml": "images:\n- name: other\n  newTag: v1\n",
        "apps/b/deploy.yaml": "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: app:v1\n",
        "chart/values.yaml": "image: {repository: app, tag: v1}\n",
        "chart/templates/pod.yaml": "kind: Pod\n{{- if .x }}\nimage: app:v1\n{{- end }}\n",
        "notes.txt": "app:v1\n",
        "latin.yaml": "image: app:v1 # \udce9\n",
        ".git/config.yaml": "image: app:v1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, errors="surrogateescape")
    ran = cli("set-image", "app:v2", "--recursive", "--path", ".", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "3 files changed." in ran.out
    assert "Warning: Left alone: latin.yaml:1: not UTF-8 text" in ran.err
    assert "Warning: Left alone: chart/templates/pod.yaml:2:1: this is a Go template" in ran.err
    changed = {name for name, text in files.items() if (tmp_path / name).read_text(errors="surrogateescape") != text}
    assert changed == {"apps/a/kustomization.yaml", "apps/b/deploy.yaml", "chart/values.yaml"}
    (tmp_path / "alias.yaml").write_text("x: &i app:v1\nimage: *i\n")
    before = tree(tmp_path)
    refused = cli("set-image", "app:v3", "--recursive", "--path", ".", cwd=tmp_path)
    assert refused.code == 1
    assert tree(tmp_path) == before
    (tmp_path / "alias.yaml").unlink()
    nowhere = cli("set-image", "ap:v2", "--recursive", "--path", ".", cwd=tmp_path)
    assert nowhere.code == 1
    assert "The image 'ap' is not used in any of the 6 files." in nowhere.err


def test_helm_values_by_key(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("web:\n- image:\n    repository: r.io/web\n    tag: '1.0' # now\n")
    ran = cli("set-image", "r.io/web:1.10", "--key", "web[0].image", "--path", "values.yaml", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert (tmp_path / "values.yaml").read_text() == (
        "web:\n- image:\n    repository: r.io/web\n    tag: '1.10' # now\n"
    )


def test_a_key_in_a_folder_and_below_it(cli: Cli, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "values.yaml").write_text(f"image: {{repository: r.io/{name.replace('c', 'a')}, tag: v1}}\n")
    (tmp_path / "a" / "kustomization.yaml").write_text("images: [{name: r.io/a, newTag: v1}]\n")
    assert cli("set-image", "r.io/b:v2", "--key", "image", "--path", "b", cwd=tmp_path).code == 0
    assert (tmp_path / "b/values.yaml").read_text() == "image: {repository: r.io/b, tag: v2}\n"
    ran = cli("set-image", "r.io/a:v2", "--key=image", "--recursive", "--path=.", cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert "2 files changed." in ran.out
    assert "newTag: v1" in (tmp_path / "a/kustomization.yaml").read_text()


def test_compat_below_a_folder_is_for_kustomizations_that_have_the_entry(cli: Cli, overlay: Path) -> None:
    (overlay / "pod.yaml").write_text("image: app:v1\n")
    (overlay / "x").mkdir()
    (overlay / "x/kustomization.yaml").write_text("# app\n")
    ran = cli("set-image", "app:v2", "--compat=kustomize", "--recursive", "--path", overlay)
    assert (ran.code, ran.err) == (0, "")
    assert "1 file changed." in ran.out


def test_compat_leaves_what_kustomize_leaves(cli: Cli, overlay: Path) -> None:
    assert cli("set-image", "app:v2", "--compat", "kustomize", cwd=overlay).code == 0
    assert (overlay / "kustomization.yaml").read_text() == "# head\nimages:\n- name: app # x\n  newTag: 'v2'\n"


def test_a_name_that_matches_an_image_of_the_resources_is_hinted_at(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [pod.yaml, ../x, https://x/y]\n")
    (tmp_path / "pod.yaml").write_text("kind: Pod\nspec:\n  containers:\n  - image: gcr.io/xzy/app:v1\n")
    ran = cli("set-image", "gcr.io/x.y/app:v2", cwd=tmp_path)
    assert "'gcr.io/x.y/app' as a regular expression, which matches 'gcr.io/xzy/app' too" in ran.err


def test_variables_stand_for_options(cli: Cli, overlay: Path) -> None:
    ran = cli("set-image", "app:v2", CI_GITOPS_SET_IMAGE_PATH=str(overlay), CI_GITOPS_SET_IMAGE_DRY_RUN="1")
    assert ran.code == 0, ran.err
    assert "1 file would change" in ran.out


def test_mode_owner_and_links_stay(cli: Cli, overlay: Path) -> None:
    shared = overlay.parent / "shared.yaml"
    (overlay / "kustomization.yaml").rename(shared)
    shared.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(shared, 1234, 1234)
    (overlay.parent / ".git").mkdir()
    (overlay / "kustomization.yaml").symlink_to("../shared.yaml")
    assert cli("set-image", "app:v2", cwd=overlay).code == 0
    assert (overlay / "kustomization.yaml").is_symlink()
    assert "'v2'" in shared.read_text()
    found = shared.stat()
    assert found.st_mode & 0o777 == 0o640
    assert found.st_uid == (1234 if os.geteuid() == 0 else os.geteuid())
    assert [path.name for path in overlay.iterdir()] == ["kustomization.yaml"]


# --- bad input: message, exit code, and nothing written -------------------------------------------------


def write(text: str | bytes) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        data = text.encode() if isinstance(text, str) else text
        (folder / "kustomization.yaml").write_bytes(data)

    return prepare


def two(folder: Path) -> None:
    (folder / "Kustomization").write_text(KUSTOMIZATION)


def gone(folder: Path) -> None:
    (folder / "kustomization.yaml").unlink()


def leaving_link(folder: Path) -> None:
    outside = folder.parent / "outside.yaml"
    outside.write_text(KUSTOMIZATION)
    (folder / ".git").mkdir()
    (folder / "kustomization.yaml").unlink()
    (folder / "kustomization.yaml").symlink_to("../outside.yaml")


def pipe(folder: Path) -> None:
    (folder / "kustomization.yaml").unlink()
    os.mkfifo(folder / "kustomization.yaml")


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("prepare", "code", "says"),
    [
        (write("images: [\n"), 1, "kustomization.yaml:2:1: not YAML"),
        (write("\x00\x01"), 1, "kustomization.yaml is not a YAML file"),
        (write(b"images: \xff\xfe\n"), 1, "kustomization.yaml:1: not UTF-8 text (byte 8)"),
        (write("- a\n- b\n"), 1, "a kustomization is a map"),
        (write("kind: Deployment\napiVersion: apps/v1\n"), 1, "'app' is not used"),
        (write("images:\n- name: app\n  newTag: {{ .tag }}\n"), 1, "kustomization.yaml:3:11: this is a Go template"),
        (write("images:\n- name: app\n  newTag: |\n    v1\n"), 1, "is a block of text"),
        (write("images:\n" + "- name: x\n" * 1_200_000), 1, "is larger than 10 MiB"),
        (write("x: " + "[" * 5000 + "]" * 5000 + "\n"), 1, "nested more than 100 levels deep"),
        (write(BOMB), 1, "more than 1,000,000 values"),
        (two, 1, "has two kustomizations, kustomization.yaml and Kustomization"),
        (gone, 1, "has no kustomization"),
        (leaving_link, 1, "leads out of"),
        (pipe, 1, "is not a file"),
    ],
    ids=["flow", "control", "encoding", "list", "kind", "template", "block", "large", "deep", "bomb", "two", "none",
         "link", "pipe"],
)  # fmt: skip
def test_a_file_that_cannot_be_edited(
    cli: Cli, overlay: Path, prepare: Callable[[Path], None], code: int, says: str
) -> None:
    prepare(overlay)
    before = tree(overlay.parent)
    ran = cli("set-image", "app:v2", cwd=overlay)
    assert (ran.code, ran.out) == (code, ""), ran.err
    assert says in ran.err
    assert tree(overlay.parent) == before


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "Missing argument 'IMAGE...'"),
        (["app"], 2, "'app' says neither tag nor digest nor new name"),
        (["App:v2"], 2, "'App' may hold lower-case letters"),
        (["app:bad tag"], 2, "'bad tag' is not a tag"),
        (["app@sha256:12"], 2, "'sha256:12' is not a digest"),
        (["../../etc/passwd:v1"], 2, "'..' is not a registry's host"),
        (["-x:v1"], 2, "No such option"),
        (["--", "--output=x:v1"], 2, "'--output' is not a name of an image"),
        (["app:v2", "--path", "nowhere.yaml"], 1, "There is no file nowhere.yaml"),
        (["app:v2", "--path", "nowhere/"], 1, "There is no file nowhere"),
        (["app:v2", "--key", "image."], 2, "'image.' is not a path to a value"),
        (["app:v2", "--key", "images[3]"], 2, "is a kustomization: its images are found by their names"),
        (["app:v2", "--compat", "flux"], 2, "'flux' is not 'kustomize'"),
        (["app:v2", "b=*"], 1, "it has no entry for 'b' whose values could be kept"),
    ],
)
def test_a_call_that_cannot_be(cli: Cli, overlay: Path, arguments: list[str], code: int, says: str) -> None:
    before = tree(overlay)
    ran = cli("set-image", *arguments, cwd=overlay)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert tree(overlay) == before


def test_failures_are_documents_too(cli: Cli, overlay: Path) -> None:
    ran = cli("-o", "json", "set-image", "app:v2", "--path", "nowhere.yaml", cwd=overlay)
    assert ran.code == 1
    assert ran.json["kind"] == "Error"
    assert ran.json["error"]["type"] == "edit"


def test_one_bad_file_of_many_keeps_all_from_being_written(cli: Cli, overlay: Path) -> None:
    bad = overlay.parent / "bad"
    bad.mkdir()
    (bad / "kustomization.yaml").write_text("images: [\n")
    before = tree(overlay.parent)
    ran = cli("set-image", "app:v2", f"--path={overlay}", f"--path={bad}")
    assert ran.code == 1
    assert tree(overlay.parent) == before


def test_a_name_that_looks_like_an_option_is_a_path(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "-k.yaml").write_text("image: app:v1\n")
    assert cli("set-image", "app:v2", "--path=-k.yaml", cwd=tmp_path).code == 0
    assert (tmp_path / "-k.yaml").read_text() == "image: app:v2\n"


def test_folders_that_are_links_are_not_walked_into(cli: Cli, overlay: Path) -> None:
    outside = overlay.parent / "outside"
    outside.mkdir()
    (outside / "pod.yaml").write_text("image: app:v1\n")
    (overlay / "link").symlink_to(outside)
    (overlay / "file.yaml").symlink_to(outside / "pod.yaml")
    assert cli("set-image", "app:v2", "--recursive", "--path", overlay).code == 0
    assert (outside / "pod.yaml").read_text() == "image: app:v1\n"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount something at a folder; skips where this is not permitted."""
    points: list[Path] = []

    def mount(name: str, *arguments: str) -> Path:
        point = tmp_path / name
        point.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *arguments, str(point)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
        if point not in points:
            points.append(point)
        return point

    yield mount
    for point in reversed(points):
        subprocess.run(["umount", str(point)], check=True)


def test_a_read_only_mount(cli: Cli, overlay: Path, mounted: Callable[..., Path]) -> None:
    other = overlay.parent / "other"
    other.mkdir()
    (other / "kustomization.yaml").write_text(KUSTOMIZATION)
    point = mounted("mounted", "--bind", str(overlay))
    mounted("mounted", "-o", "remount,bind,ro")
    before = tree(overlay.parent)
    ran = cli("set-image", "app:v2", f"--path={other}", f"--path={point}")
    assert ran.code == 1
    assert f"{point}/kustomization.yaml cannot be written: Read-only file system." in ran.err
    assert "No file was changed." in ran.err
    assert tree(overlay.parent) == before


def test_a_full_disk(cli: Cli, overlay: Path, mounted: Callable[..., Path]) -> None:
    point = mounted("small", "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    (point / "kustomization.yaml").write_text(KUSTOMIZATION + "# " + "x" * 30_000 + "\n")
    with pytest.raises(OSError, match="No space"):
        (point / "filler").write_bytes(b"x" * 100_000)
    before = tree(overlay.parent)
    ran = cli("set-image", "app:v2", f"--path={overlay}", f"--path={point}")
    assert ran.code == 1
    assert f"{point}/kustomization.yaml cannot be written: No space left on device." in ran.err
    assert tree(overlay.parent) == before
    assert sorted(path.name for path in point.iterdir()) == ["filler", "kustomization.yaml"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write whatever its mode is")
def test_a_file_without_the_right_to_write(cli: Cli, overlay: Path) -> None:
    (overlay / "kustomization.yaml").chmod(0o444)
    ran = cli("set-image", "app:v2", cwd=overlay)
    assert ran.code == 1
    assert "Permission denied" in ran.err


PROVIDERS = {
    "docker", "git", "github", "gitlab", "kubernetes", "pydantic", "requests", "rich", "ruamel", "urllib3",
    "subprocess", "difflib", "orjson", "stamina",
}  # fmt: skip


def test_nothing_of_a_provider_is_imported(cli: Cli, overlay: Path) -> None:
    for arguments in (["set-image", "app:v2"], ["--help"]):
        ran = cli(*arguments, cwd=overlay, PYTHONPROFILEIMPORTTIME="1")
        imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ran.err.splitlines() if "|" in line}
        assert "click" in imported
        assert not imported & PROVIDERS


def test_the_public_functions_import_no_provider_either(cli: Cli) -> None:
    program = (
        "import sys, ci_gitops; assert not [name for name in sys.modules if name.startswith('ci_gitops.')];"
        "ci_gitops.set_images('images: []', ['a:v1'], path='kustomization.yaml'); ci_gitops.ImageRef.parse('a:v1');"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], env=cli.env, capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & PROVIDERS
