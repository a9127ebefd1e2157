"""Rendering by the real jsonnet: each `.jsonnet` file of a folder is one object, a list of them, or a map of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ci_gitops.adapters.renderers import plain
from ci_gitops.adapters.renderers.base import Job
from ci_gitops.core.manifests import Manifest, parse

_SUFFIX = ".jsonnet"
_IMPORT = re.compile(r"""\bimport(?:str|bin)?\s*@?["']([^"']+)["']""")
#: Where jsonnet-bundler and most repositories keep what is imported, in the target's folder or at the root.
_LIBRARIES = ("vendor", "lib")


class Jsonnet:
    name = "jsonnet"

    def fits(self, job: Job) -> bool:
        return bool(plain.files_with(job, (_SUFFIX,)))

    def inputs(self, job: Job) -> tuple[Path, ...]:
        return plain.files_with(job, (_SUFFIX, ".yaml", ".yml"))

    def render(self, job: Job) -> tuple[Manifest, ...]:
        """YAML files beside are objects as they lie, as with Argo CD; JSON files are what Jsonnet imports."""
        found: list[Manifest] = []
        for file in self.inputs(job):
            found += self._evaluated(job, file) if file.suffix == _SUFFIX else plain.read(file)
        return tuple(found)

    @staticmethod
    def _evaluated(job: Job, file: Path) -> tuple[Manifest, ...]:
        words = [job.program("jsonnet")]
        for folder in (job.tree, job.folder):
            for name in _LIBRARIES:
                words += ["--jpath", str(folder / name)] if (folder / name).is_dir() else []
        document = json.loads(job.run([*words, str(file)], cwd=job.folder))
        text = "---\n".join(json.dumps(each) + "\n" for each in _objects(document))
        return parse(text, f"what jsonnet made of {file.name}")


def imported(job: Job, files: Iterable[Path]) -> tuple[Path, ...]:
    """What these files import, and what that imports, as far as it lies in the tree."""
    found: dict[Path, None] = {}
    todo = list(files)
    libraries = [folder / name for folder in (job.tree, job.folder) for name in _LIBRARIES]
    while todo:
        file = todo.pop()
        for name in _IMPORT.findall(file.read_text(encoding="utf-8", errors="replace")):
            places = (Path(os.path.normpath(folder / name)) for folder in (file.parent, *libraries))
            there = next((each for each in places if each.is_file() and each.is_relative_to(job.tree)), None)
            if there and there not in found:
                found[there] = None
                todo += [there] if there.suffix in (_SUFFIX, ".libsonnet") else []
    return tuple(found)


def _objects(document: Any) -> Iterator[Any]:
    """Lists and maps of objects are common in Jsonnet; what has a kind is an object."""
    if isinstance(document, list):
        for item in document:
            yield from _objects(item)
    elif isinstance(document, Mapping) and "kind" not in document and "apiVersion" not in document:
        for item in document.values():
            yield from _objects(item)
    else:
        yield document
