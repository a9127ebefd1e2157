"""A folder of rendered manifests, one file for each object, named as `kustomize build -o FOLDER` names them."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from ci_gitops.adapters.cluster.base import Applied, Operation
from ci_gitops.core.manifests import Manifest, text
from ci_gitops.errors import ClusterError


class FolderWriter:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return f"folder {self._folder}"

    def apply_manifest(self, manifest: Manifest, *, dry_run: bool) -> Applied:
        file = self._folder / file_name(manifest)
        new = text([manifest]).encode()
        try:
            old = file.read_bytes() if file.exists() else None
            operation: Operation = "create" if old is None else "unchanged" if old == new else "update"
            if operation != "unchanged" and not dry_run:
                self._replace(file, new)
        except OSError as error:
            raise ClusterError(f"{file} cannot be written: {error.strerror}.") from error
        return Applied(manifest, operation)

    @staticmethod
    def _replace(file: Path, content: bytes) -> None:
        """Write beside and rename: a reader sees the old file or the new one."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", delete=False) as temporary:
            temporary.write(content)
        Path(temporary.name).chmod(0o666 & ~_umask())
        Path(temporary.name).replace(file)


def file_name(manifest: Manifest) -> str:
    """`[NAMESPACE_][GROUP_]VERSION_KIND_NAME.yaml`."""
    group_version = manifest.api_version.replace("/", "_")
    parts = (manifest.namespace, group_version, manifest.kind.lower(), manifest.name)
    return re.sub(r"[^A-Za-z0-9._-]", "-", "_".join(part for part in parts if part)) + ".yaml"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
