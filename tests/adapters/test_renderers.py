"""Rendering by the real tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops.adapters.renderers import render
from ci_gitops.errors import RenderError
from tests.rig.parts import program

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: registry.example.com/web:1}]}}}
"""


@pytest.fixture
def path() -> str:
    """The PATH with kustomize on it."""
    found = program("kustomize", "Debian's package kustomize, or https://kubectl.docs.kubernetes.io")
    return str(Path(found).parent)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def overlay(root: Path) -> None:
    write(root, {
        "base/kustomization.yaml": "resources: [web.yaml]\n",
        "base/web.yaml": DEPLOYMENT,
        "overlays/staging/kustomization.yaml":
            "resources: [../../base]\nnamePrefix: staging-\nimages: [{name: registry.example.com/web, newTag: '2'}]\n",
    })  # fmt: skip


def test_an_overlay_is_built_with_its_image(tmp_path: Path, path: str) -> None:
    overlay(tmp_path)
    (manifest,) = render(tmp_path, "overlays/staging", {"PATH": path})
    assert manifest.name == "staging-web"
    assert "registry.example.com/web:2" in str(manifest.document)


def test_an_overlay_that_does_not_build_says_why_without_our_paths(tmp_path: Path, path: str) -> None:
    write(tmp_path, {"overlays/staging/kustomization.yaml": "resources: [nothing.yaml]\n"})
    with pytest.raises(RenderError, match=r"cannot build staging: .*nothing\.yaml") as caught:
        render(tmp_path, "overlays/staging", {"PATH": path})
    assert f"{tmp_path}/overlays" not in str(caught.value)


def test_remote_bases_find_no_git(tmp_path: Path, path: str) -> None:
    write(tmp_path, {"a/kustomization.yaml": "resources: ['git::https://127.0.0.1:1/x/y.git//z']\n"})
    with pytest.raises(RenderError, match="no 'git' program on path"):
        render(tmp_path, "a", {"PATH": f"{path}:/usr/bin"})


def test_without_kustomize_the_message_says_how_to_get_it(tmp_path: Path) -> None:
    overlay(tmp_path)
    with pytest.raises(RenderError, match="Neither kustomize nor kubectl") as caught:
        render(tmp_path, "overlays/staging", {"PATH": "/nowhere"})
    assert "https://" in str(caught.value.hint)


def test_plain_files_are_taken_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, {"staging/b.yaml": DEPLOYMENT, "staging/a.yml": DEPLOYMENT.replace("web", "first", 1)})
    write(tmp_path, {"staging/notes.txt": "no yaml", "staging/.hidden.yaml": "{"})
    assert [manifest.name for manifest in render(tmp_path, "staging", {})] == ["first", "web"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"staging/a.yaml": DEPLOYMENT, "secret.yaml": DEPLOYMENT.replace("web", "secret")})
    (tmp_path / "staging/z.yaml").symlink_to(tmp_path / "secret.yaml")
    assert [manifest.name for manifest in render(tmp_path, "staging", {})] == ["web"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("../outside", "leaves the repository"),
        ("nowhere", "no folder nowhere"),
        ("empty", "holds nothing to render"),
    ],
)
def test_what_cannot_be_rendered(tmp_path: Path, target: str, message: str) -> None:
    (tmp_path / "tree/empty").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    with pytest.raises(RenderError, match=message):
        render(tmp_path / "tree", target, {})
