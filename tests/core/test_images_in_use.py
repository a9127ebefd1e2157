"""The images of a target with their versions, and what keeps one from being followed."""

from __future__ import annotations

import pytest

from ci_gitops.core.images_in_use import images_in_use, templates_among
from ci_gitops.core.targets import Target
from ci_gitops.core.update_work import TargetFiles
from ci_gitops.errors import EditError
from tests.core.trees import MemoryTree

DIGEST = "sha256:" + "0" * 64
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: web, image: IMAGE}]}\n"


def used(texts: dict[str, str], *values: str, path: str = "app") -> dict[str, tuple[str, str | None]]:
    """By the name that an update takes: the reference that is pulled, and the problem."""
    files = TargetFiles(Target("shop", "staging", path), values=values)
    return {name: (each.reference, each.problem) for name, each in images_in_use(files, MemoryTree(texts)).items()}


def test_an_overlay_over_its_base() -> None:
    found = used({
        "app/kustomization.yaml": "resources: [../base]\nimages:\n"
        "- {name: web, newName: registry.example.com/shop/web}\n"
        f"- {{name: api, newTag: v2}}\n- {{name: db, digest: '{DIGEST}'}}\n",
        "base/kustomization.yaml": "resources: [web.yaml, api.yaml, db.yaml, side.yaml]\n",
        "base/web.yaml": POD.replace("IMAGE", "web:1.0"),
        "base/api.yaml": POD.replace("IMAGE", "api:v1"),
        "base/db.yaml": POD.replace("IMAGE", "db:15"),
        "base/side.yaml": POD.replace("IMAGE", "registry.example.com:5000/side:3"),
    })  # fmt: skip
    assert found == {
        "web": ("registry.example.com/shop/web:1.0", None),
        "api": ("api:v2", None),
        "db": (f"db@{DIGEST}", None),
        "registry.example.com:5000/side": ("registry.example.com:5000/side:3", None),
    }


def test_values_of_several_files() -> None:
    texts = {
        "app/values.yaml": "image: {repository: shop/web, tag: '1.0'}\nside: {image: 'shop/side:2'}\n",
        "app/values-staging.yaml": "image: {tag: '1.1'}\n",
    }
    found = used(texts, "app/values.yaml", "app/values-staging.yaml", path="app/values-staging.yaml")
    assert found == {"shop/web": ("shop/web:1.1", None), "shop/side": ("shop/side:2", None)}
    with pytest.raises(EditError, match=r"values-staging\.yaml is not YAML"):
        used({**texts, "app/values-staging.yaml": "a: [\n"}, *texts, path="app/values-staging.yaml")


def test_what_cannot_be_followed() -> None:
    found = used({
        "app/one.yaml": POD.replace("IMAGE", "web:1.0"),
        "app/two.yaml": POD.replace("IMAGE", "web:1.1"),
        "app/three.yaml": POD.replace("IMAGE", "'${REGISTRY}/api:1'"),
        "app/same.yaml": POD.replace("IMAGE", "side:1").replace("NAME", "a") + "---\n" + POD.replace("IMAGE", "side:1"),
    })  # fmt: skip
    assert "two versions, web:1.0 and web:1.1" in str(found["web"][1])
    assert found["side"] == ("side:1", None)
    assert all("template or a placeholder" in str(problem) for name, (_, problem) in found.items() if "$" in name)


def test_templates_are_named() -> None:
    files = TargetFiles(Target("shop", "staging", "app"))
    tree = MemoryTree(
        {"app/a.yaml": "a: 1\n", "app/templates/b.yaml": "image: {{ .Values.image }}\n", "app/c.txt": "{{"}
    )
    assert templates_among(files, tree) == ("app/templates/b.yaml",)
