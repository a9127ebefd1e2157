"""The files that the targets of a place are rendered from at its revision: what gates are asked by."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from ci_gitops.adapters.renderers import declared_files, tool_of
from ci_gitops.adapters.tree import laid_out
from ci_gitops.core.inputs import Inputs
from ci_gitops.core.targets import Target
from ci_gitops.errors import RenderError, UsageError
from ci_gitops.steps.rendering import tool_recipe
from ci_gitops.steps.targets import files_of
from ci_gitops.steps.workplace import Workplace

_FILES = b"Files"  # by which the templates of a chart get at all that lies in it
_MOST_BYTES = 16 * 1024 * 1024  # of a packed chart
_MOST_MEMBERS = 5_000


def inputs_of(place: Workplace) -> Inputs:
    """Of a target that is refused, or cannot be read, nothing is known."""
    try:
        targets = place.settings.targets(paths=place.tree.files())
    except UsageError:  # none of them has files yet
        return Inputs()
    reads, others = dict[Target, frozenset[str]](), dict[Target, frozenset[str]]()
    values = _values(place, targets)
    with laid_out(place.repository, place.revision) as tree:
        for target in targets:
            recipe = tool_recipe(place.settings, target)
            try:
                declared = declared_files(tree, target.path, recipe)
                chart = tool_of(tree, target.path, recipe) == "helm"
            except RenderError:
                continue
            spare = {path for path in declared if chart and target not in values.get(path, (target,))}
            if spare and _reads_itself(tree, declared):
                spare = set()
            reads[target] = frozenset(
                each for path in declared if path not in spare for each in place.repository.trail(place.revision, path)
            )
            others[target] = frozenset(spare)
    return Inputs(reads, others)


def _values(place: Workplace, targets: Iterable[Target]) -> dict[str, set[Target]]:
    """Which targets are rendered with each values file."""
    found: dict[str, set[Target]] = {}
    for target in targets:
        for path in files_of(place, target, named=False).values:
            found.setdefault(path, set()).add(target)
    return found


def _reads_itself(tree: Path, declared: Iterable[str]) -> bool:
    """Whether templates of the chart may read any file of it, by all that can be told from their text."""
    return any(_names_files(tree / path) for path in declared)


def _names_files(file: Path) -> bool:
    content = file.read_bytes()
    return _FILES in content or (file.suffix == ".tgz" and _packed_names_files(content))


def _packed_names_files(content: bytes) -> bool:
    """True, too, where nobody can tell."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as packed:
            left = _MOST_BYTES
            for number, member in enumerate(packed):
                left -= member.size
                if left < 0 or number >= _MOST_MEMBERS:
                    return True
                inner = packed.extractfile(member) if member.isfile() else None
                text = inner.read() if inner else b""
                if _FILES in text or (member.name.endswith(".tgz") and _packed_names_files(text)):
                    return True
    except (tarfile.TarError, OSError, EOFError, ValueError, RecursionError):
        return True
    return False
