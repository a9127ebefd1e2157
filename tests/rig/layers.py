"""What is in an image: every path of all its layers laid over each other, whichever engine built it.

files(registry, "ci-gitops/ci-gitops", "full")["usr/local/bin/helm"]     # File(kind="-", mode=0o755, uid=0, …)
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.rig.registry import RegistryServer

_KINDS = {tarfile.REGTYPE: "-", tarfile.AREGTYPE: "-", tarfile.LNKTYPE: "-", tarfile.SYMTYPE: "l", tarfile.DIRTYPE: "d"}
_GONE, _EMPTIED = ".wh.", ".wh..wh..opq"


@dataclass(frozen=True)
class File:
    """One path; `holds` is the SHA-256 of a file or the target of a link, `may` a program's own capabilities."""

    kind: str
    mode: int
    uid: int
    gid: int
    holds: str
    may: str = ""


def files(registry: RegistryServer, repository: str, reference: str) -> dict[str, File]:
    found: dict[str, File] = {}
    for layer in registry.manifest(repository, reference)[1]["layers"]:
        with tarfile.open(fileobj=io.BytesIO(registry.blob(repository, layer["digest"]))) as archive:
            _lay(found, archive)
    return found


def differences(one: dict[str, File], other: dict[str, File]) -> dict[str, tuple[File | None, File | None]]:
    """What is in one alone, or not the same in both."""
    paths = sorted(one.keys() | other.keys())
    return {path: (one.get(path), other.get(path)) for path in paths if one.get(path) != other.get(path)}


def _lay(found: dict[str, File], archive: tarfile.TarFile) -> None:
    for member in archive:
        path = PurePosixPath("/", member.name).relative_to("/")
        if path.name == _EMPTIED:
            _remove(found, f"{path.parent}/")
        elif path.name.startswith(_GONE):
            gone = str(path.with_name(path.name.removeprefix(_GONE)))
            found.pop(gone, None)
            _remove(found, f"{gone}/")
        elif path.name:
            found[str(path)] = _file(member, found, archive)


def _file(member: tarfile.TarInfo, found: dict[str, File], archive: tarfile.TarFile) -> File:
    holds = member.linkname
    if member.islnk():
        holds = found[str(PurePosixPath("/", member.linkname).relative_to("/"))].holds
    elif member.isfile():
        content = archive.extractfile(member)
        assert content
        holds = hashlib.file_digest(content, "sha256").hexdigest()
    may = member.pax_headers.get("SCHILY.xattr.security.capability", "")
    return File(_KINDS.get(member.type, "?"), member.mode, member.uid, member.gid, holds, may)


def _remove(found: dict[str, File], folder: str) -> None:
    for path in [path for path in found if path.startswith(folder)]:
        del found[path]
