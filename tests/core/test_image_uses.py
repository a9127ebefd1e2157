"""`image_uses`: every image that a file declares, so that `update` knows which files to edit."""

from __future__ import annotations

from ci_gitops import ImageUse, image_uses

D1 = "sha256:" + "1" * 64


def test_a_kustomizations_entries() -> None:
    text = f"images:\n- name: a\n  newTag: v1\n- name: b\n  newName: r/b\n  digest: {D1}\n- newTag: x\n"
    assert image_uses(text, path="x/kustomization.yml") == (
        ImageUse("a", "v1", None, "images[0]", 2, "kustomization"),
        ImageUse("b", None, D1, "images[1]", 4, "kustomization", "r/b"),
    )
    assert [use.effective for use in image_uses(text, path="x/Kustomization")] == ["a", "r/b"]


def test_values() -> None:
    text = (
        "image:\n  registry: reg.example.com\n  repository: web\n  tag: 1.2\n"
        "worker:\n  image: {repository: w, tag: ''}\nsidecarImage: side:v1\n"
        "git:\n  repository: https://git.example.com/x\n  branch: main\nname: x\ntag: y\n"
        "controller: {image: {registry: r.io, image: c/c, tag: v1}}\nold: {image: nginx, tag: v3}\n"
    )
    assert [(use.name, use.tag, use.field) for use in image_uses(text, path="values.yaml")] == [
        ("reg.example.com/web", "1.2", "image"),
        ("w", None, "worker.image"),
        ("side", "v1", "sidecarImage"),
        ("r.io/c/c", "v1", "controller.image"),
        ("nginx", "v3", "old"),
    ]


def test_manifests() -> None:
    text = (
        "apiVersion: v1\nkind: Pod\nspec:\n  initContainers: [{image: i}]\n  containers:\n  - image: r/a:v1\n"
        "---\napiVersion: v2\nname: chart\nimage: x\n"
    )
    assert [(use.name, use.tag, use.line, use.kind) for use in image_uses(text, path="a.yaml")] == [
        ("i", None, 4, "manifest"),
        ("r/a", "v1", 6, "manifest"),
    ]


def test_what_is_no_yaml_or_a_template_declares_nothing() -> None:
    assert image_uses("a: [", path="values.yaml") == ()
    assert image_uses("image: {{ .x }}\nb:\n  image: x:v1\n", path="values.yaml") == ()
    assert image_uses("", path="values.yaml") == ()
    assert image_uses("- image: x:v1\n", path="values.yaml") == ()
