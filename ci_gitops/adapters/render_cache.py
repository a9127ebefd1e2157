"""What was rendered before, kept on this machine: the same tree, settings and programs need no second rendering."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ci_gitops.adapters.private_cache import PrivateCache
from ci_gitops.core.manifests import Manifest

_PROGRAMS = ("kustomize", "kubectl", "helm", "helmfile", "jsonnet")


class RenderCache(PrivateCache):
    """Rendered manifests by key."""

    name = "rendered"
    key_file = "render-cache.key"


def programs(environ: Mapping[str, str]) -> list[list[str | int]]:
    """The renderers that would be taken, by what tells one version's file from another's."""
    found: list[list[str | int]] = []
    for name in _PROGRAMS:
        if path := shutil.which(name, path=environ.get("PATH")):
            status = os.stat(path)  # noqa: PTH116
            real = os.path.realpath(path)
            found.append([name, real, status.st_size, status.st_mtime_ns, status.st_ino])
    return found


def documents(manifests: Iterable[Manifest]) -> list[Any]:
    return [manifest.document for manifest in manifests]


def manifests(kept: Sequence[Any]) -> tuple[Manifest, ...]:
    """The records of kept documents, which were checked when they were rendered."""
    found = []
    for document in kept:
        metadata = document["metadata"]
        name = metadata.get("name") or metadata["generateName"]
        found.append(Manifest(document["apiVersion"], document["kind"], metadata.get("namespace"), name, document))
    return tuple(found)
