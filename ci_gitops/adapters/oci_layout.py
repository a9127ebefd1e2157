"""A tiny image written straight to disk, in the OCI image layout, for a machine where no engine runs.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci_gitops.errors import RegistryError

if TYPE_CHECKING:
    import urllib3

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def write_layout(folder: Path, files: Mapping[str, str], reference: str) -> str:
    """An image with these files as its one layer, named `reference`; returns its digest."""
    layer = _layer(files)
    described = _put(folder, layer, _LAYER_TYPE)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [described["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _put(folder, json.dumps(config).encode(), _CONFIG_TYPE),
        "layers": [described],
    }
    entry = _put(folder, json.dumps(manifest).encode(), MANIFEST_TYPE)
    entry["annotations"] = {"org.opencontainers.image.ref.name": reference}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(index, indent=2) + "\n")
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}\n')
    return str(entry["digest"])


def _layer(files: Mapping[str, str]) -> bytes:
    """Without times and owners, so that the same files are the same image."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, text in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return written.getvalue()


def _put(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def push_layout(folder: Path, host: str, repository: str, tag: str) -> None:
    """Push the image of a layout to a registry on this machine's loopback, which speaks plain HTTP."""
    import urllib3

    pool = urllib3.PoolManager(timeout=20.0, retries=False)
    manifest = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    blobs = folder / "blobs" / "sha256"
    for blob in blobs.iterdir():
        digest = f"sha256:{blob.name}"
        if digest != manifest:
            started = pool.request("POST", f"http://{host}/v2/{repository}/blobs/uploads/")
            place = urllib.parse.urljoin(f"http://{host}", started.headers["Location"])
            _taken(pool.request("PUT", f"{place}&digest={digest}", body=blob.read_bytes()))
    body = (blobs / manifest.removeprefix("sha256:")).read_bytes()
    headers = {"Content-Type": MANIFEST_TYPE}
    _taken(pool.request("PUT", f"http://{host}/v2/{repository}/manifests/{tag}", body=body, headers=headers))


def _taken(answer: urllib3.BaseHTTPResponse) -> None:
    if answer.status >= 300:
        raise RegistryError(f"The registry refused the image with {answer.status}: {answer.data.decode()[:200]}")
