"""The images that one target declares at a revision, read from its files as they are: nothing is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from ci_gitops.core.edits import image_uses
from ci_gitops.core.update_work import TargetFiles, yaml_files
from ci_gitops.core.uses import Tree, declared_images, kustomization_file, reference, walk


def images_in(tree: Tree, files: TargetFiles) -> tuple[str, ...]:
    """Their references, sorted; what only a chart's or a program's templates name is not among them."""
    folder = files.target.path
    if kustomization_file(tree, folder):
        return tuple(sorted(set(declared_images(walk(tree, folder), folder).values())))
    texts = [_merged(tree, files.values)] if files.values else tree.read(yaml_files(tree, files.target)).values()
    uses = [use for text in texts for use in image_uses(text)]
    return tuple(sorted({reference(use.effective, use.tag, use.digest) for use in uses}))


def _merged(tree: Tree, paths: tuple[str, ...]) -> str:
    """Helm's values of several files, the last one winning, as one text."""
    texts = tree.read(paths)
    merged: dict[str, Any] = {}
    for path in paths:
        loaded = yaml.load(texts.get(path, ""), yaml.BaseLoader)  # noqa: S506 - makes texts, lists and mappings only
        merged = _over(merged, loaded) if isinstance(loaded, Mapping) else merged
    return yaml.safe_dump(merged)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        under = below.get(name)
        merged[name] = _over(under, value) if isinstance(value, Mapping) and isinstance(under, Mapping) else value
    return merged
