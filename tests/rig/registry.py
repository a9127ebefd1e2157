"""A real container registry: Debian's docker-registry on a free port, plain, with a password, with TLS or tokens.

registry.image("web")                     # 127.0.0.1:40123/web
registry.manifest("web", "1.2")           # what the registry itself says
with running_registry(folder, users=True, tls=pair) as guarded: …
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import ssl
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.rig.parts import missing, program, tied

HOW = "install Debian's docker-registry"
USER, PASSWORD = "alice", "rabbit-hole-7"
_HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuuNgKjGxHhAv8md3nP8Zofd.FGPohplOy\n"
_ACCEPT = ", ".join((
    "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
))  # fmt: skip


@dataclass(frozen=True)
class RegistryServer:
    """A running registry."""

    host: str  # with its port
    folder: Path
    tls: bool = False
    guarded: bool = False  # wants USER and PASSWORD

    def image(self, name: str) -> str:
        return f"{self.host}/{name}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def manifest(self, repository: str, reference: str) -> tuple[str, dict[str, Any]]:
        """Digest and content of a manifest, read without our own client."""
        status, headers, body = self.request("GET", f"/v2/{repository}/manifests/{reference}", {"Accept": _ACCEPT})
        assert status == 200, (status, body)
        return headers["Docker-Content-Digest"], json.loads(body)

    def config(self, repository: str, reference: str) -> dict[str, Any]:
        """The image's configuration: environment, labels, history."""
        digest = self.manifest(repository, reference)[1]["config"]["digest"]
        return json.loads(self.blob(repository, digest))

    def blob(self, repository: str, digest: str) -> bytes:
        status, _, body = self.request("GET", f"/v2/{repository}/blobs/{digest}")
        assert status == 200, (status, body)
        return body

    def tags(self, repository: str) -> list[str]:
        status, _, body = self.request("GET", f"/v2/{repository}/tags/list")
        return sorted(json.loads(body)["tags"]) if status == 200 else []

    def push(
        self, repository: str, tag: str, labels: Mapping[str, str] | None = None, *,
        files: Mapping[str, bytes] | None = None,
    ) -> str:  # fmt: skip
        """Push an image of executable files, without an engine, and give its digest."""
        layer = _layer(files) if files else None
        ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}"] if layer else []
        config = json.dumps({"os": "linux", "architecture": "amd64", "config": {"Labels": dict(labels or {})},
                             "rootfs": {"type": "layers", "diff_ids": ids}}).encode()  # fmt: skip
        media = "application/vnd.oci.image.manifest.v1+json"
        described = self._described(repository, "application/vnd.oci.image.config.v1+json", config)
        layers = [self._described(repository, "application/vnd.oci.image.layer.v1.tar", layer)] if layer else []
        manifest = {"schemaVersion": 2, "mediaType": media, "config": described, "layers": layers}
        status, headers, body = self.request(
            "PUT", f"/v2/{repository}/manifests/{tag}", {"Content-Type": media}, json.dumps(manifest).encode()
        )
        assert status == 201, (status, body)
        return headers["Docker-Content-Digest"]

    def _described(self, repository: str, media: str, blob: bytes) -> dict[str, Any]:
        """A blob, pushed, as a manifest names it."""
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        _, headers, _ = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        place = headers["Location"].partition(self.host)[2] or headers["Location"]
        status, _, body = self.request(
            "PUT", f"{place}&digest={digest}", {"Content-Type": "application/octet-stream"}, blob
        )
        assert status == 201, (status, body)
        return {"mediaType": media, "digest": digest, "size": len(blob)}

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        scheme = "https" if self.tls else "http"
        request = urllib.request.Request(f"{scheme}://{self.host}{path}", data, dict(headers or {}), method=method)
        if self.guarded:
            password = urllib.request.HTTPPasswordMgrWithDefaultRealm()
            password.add_password(None, f"{scheme}://{self.host}", USER, PASSWORD)
            handlers: list[Any] = [urllib.request.HTTPBasicAuthHandler(password)]
        else:
            handlers = []
        context = ssl._create_unverified_context() if self.tls else None
        opener = urllib.request.build_opener(
            *handlers, *([urllib.request.HTTPSHandler(context=context)] if context else [])
        )
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()


def _layer(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


@contextlib.contextmanager
def running_registry(
    folder: Path,
    *,
    address: str = "127.0.0.1",
    port: int = 0,
    users: bool = False,
    tls: tuple[Path, Path] | None = None,
    auth: Mapping[str, Any] | None = None,
) -> Iterator[RegistryServer]:
    """A registry that keeps its images in `folder`; `tls` is certificate and key, `auth` a section of its settings."""
    binary = program("docker-registry", HOW)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "users").write_text(_HTPASSWD)
    http: dict[str, Any] = {"addr": f"{address}:{port}"}
    if tls:
        http["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    settings: dict[str, Any] = {
        "version": 0.1, "log": {"level": "info"}, "http": http,
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}, "delete": {"enabled": True}},
    }  # fmt: skip
    if users:
        settings["auth"] = {"htpasswd": {"realm": "registry", "path": str(folder / "users")}}
    if auth:
        settings["auth"] = auth
    (folder / "config.yml").write_text(json.dumps(settings))
    log = (folder / "log").open("wb")
    process = subprocess.Popen(tied([binary, "serve", str(folder / "config.yml")]), stdout=log, stderr=log,
                               env={"PATH": os.environ["PATH"], "HOME": str(folder)})  # fmt: skip
    try:
        host = _listening(process, folder / "log")
        yield RegistryServer(host, folder, tls=tls is not None, guarded=users)
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address in its log: port 0 lets the kernel choose."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = re.search(r"listening on ([0-9.]+:[0-9]+)", log.read_text())
        if found:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(f"docker-registry did not start: {log.read_text()}")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """A plain registry on the loopback, shared: use repository names of your own."""
    with running_registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture(scope="session")
def guarded_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """A registry on the loopback that wants USER and PASSWORD."""
    with running_registry(tmp_path_factory.mktemp("guarded"), users=True) as server:
        yield server


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """A repository name of this test's own."""
    return "test/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")


@pytest.fixture(scope="session")
def own_address() -> Iterator[str]:
    """An address of this machine that is not the loopback's: engines check certificates there."""
    address = f"10.99.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"  # another test run may be under way
    add = subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], capture_output=True, check=False)
    if add.returncode:
        missing("a second address", f"`ip address add` must be allowed: {add.stderr.decode().strip()}")
    yield address
    subprocess.run(["ip", "address", "delete", f"{address}/32", "dev", "lo"], check=False)


@dataclass(frozen=True)
class Certificates:
    """An authority of our own, and what it has signed for one address."""

    ca: trustme.CA
    authority: Path
    folder: Path

    def issue(self, address: str, name: str, **settings: Any) -> tuple[Path, Path]:
        """Certificate and key."""
        issued = self.ca.issue_cert(address, **settings)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        return certificate, key


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = folder / "authority.pem"
    ca = trustme.CA()
    ca.cert_pem.write_to_path(authority)
    return Certificates(ca, authority, folder)


@pytest.fixture(scope="session")
def tls_registry(
    tmp_path_factory: pytest.TempPathFactory, own_address: str, certificates: Certificates
) -> Iterator[RegistryServer]:
    """A registry with a certificate of an authority of its own, at an address where it counts."""
    pair = certificates.issue(own_address, "registry")
    with running_registry(tmp_path_factory.mktemp("tls"), address=own_address, users=True, tls=pair) as server:
        yield server
