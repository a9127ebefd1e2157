"""`set-image`: one call on one overlay, and one call on a thousand, against `kustomize edit set image`."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import Row, in_turns, seconds

OVERLAYS = 1000
KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop
resources:
- ../../base
images:
- name: app # the application
  newName: registry.example.com/shop/app
  newTag: v1
- name: sidecar
  newName: registry.example.com/shop/sidecar
  newTag: "1.10"
"""


def measure() -> Iterator[Row]:
    kustomize = shutil.which("kustomize")
    tags = (f"v{number}" for number in itertools.count(2))
    with tempfile.TemporaryDirectory() as folder:
        overlays = _overlays(Path(folder))
        one = in_turns(_ours(overlays[:1], tags), _theirs(kustomize, overlays[:1], tags), times=15)
        yield Row("set-image, one overlay", one[0], bound=0.15)
        if kustomize:
            yield Row("set-image, one overlay, against kustomize", *one)
        many = _ours(overlays, tags)
        many()
        ours = [seconds(many) for _ in range(5)]
        if kustomize is None:
            yield Row(f"set-image, {OVERLAYS} overlays in one call", ours, bound=1.0)
            return
        theirs = [seconds(_theirs(kustomize, overlays, tags)) for _ in range(2)]
        yield Row(f"set-image, {OVERLAYS} overlays in one call", ours, theirs, bound=0.1)


def _overlays(root: Path) -> list[Path]:
    """Folders of a Git repository, each with a kustomization."""
    (root / ".git").mkdir()
    folders = [root / "apps" / f"app-{number}" / "overlays" / "staging" for number in range(OVERLAYS)]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "kustomization.yaml").write_text(KUSTOMIZATION)
    return folders


def _ours(folders: list[Path], tags: Iterator[str]) -> Callable[[], object]:
    paths = [f"--path={folder}" for folder in folders]
    program = [sys.executable, "-m", "ci_gitops", "set-image"]
    return lambda: subprocess.run([*program, f"app:{next(tags)}", *paths], check=True, capture_output=True)


def _theirs(kustomize: str | None, folders: list[Path], tags: Iterator[str]) -> Callable[[], object]:
    def call() -> None:
        tag = next(tags)
        for folder in folders if kustomize else ():
            subprocess.run([str(kustomize), "edit", "set", "image", f"app=*:{tag}"], cwd=folder, check=True)

    return call
