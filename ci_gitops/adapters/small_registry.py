"""The smallest registry that takes and gives images, on the loopback: for the demo, where no registry is installed.

    python -I small_registry.py FOLDER [PORT]

https://github.com/opencontainers/distribution-spec/blob/main/spec.md, without deletion, accounts and
uploads that go on elsewhere. It is run as a program of its own and imports nothing of ours.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_NAME = r"/v2/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
_BLOB = re.compile(_NAME + r"/blobs/sha256:([0-9a-f]{64})")
_UPLOAD = re.compile(_NAME + r"/blobs/uploads/([0-9a-f]{32})?")
_MANIFEST = re.compile(_NAME + r"/manifests/(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})")
_TAGS = re.compile(_NAME + r"/tags/list")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if found := _BLOB.fullmatch(path):
            self._file(self._blob(found[2]), "application/octet-stream", f"sha256:{found[2]}")
        elif found := _MANIFEST.fullmatch(path):
            self._manifest(found[1], found[2])
        elif found := _TAGS.fullmatch(path):
            tags = sorted(file.name for file in self._names(found[1]).glob("*") if ":" not in file.name)
            self._answer(200, json.dumps({"name": found[1], "tags": tags}).encode())
        else:
            self._answer(200 if path == "/v2/" else 404, b"{}")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self._body()
        if found := _UPLOAD.fullmatch(urlsplit(self.path).path):
            self._go_on(found[1], uuid.uuid4().hex)
        else:
            self._answer(404)

    def do_PATCH(self) -> None:
        body = self._body()
        if (found := _UPLOAD.fullmatch(urlsplit(self.path).path)) and found[2]:
            with self._upload(found[2]).open("ab") as file:
                file.write(body)
            self._go_on(found[1], found[2])
        else:
            self._answer(404)

    def do_PUT(self) -> None:
        body, asked = self._body(), urlsplit(self.path)
        if (found := _UPLOAD.fullmatch(asked.path)) and found[2]:
            upload = self._upload(found[2])
            content = (upload.read_bytes() if upload.exists() else b"") + body
            upload.unlink(missing_ok=True)
            digest = self._keep(content)
            wanted = parse_qs(asked.query).get("digest", [""])[0]
            self._answer(201 if digest == wanted else 400, digest=digest)
        elif found := _MANIFEST.fullmatch(asked.path):
            digest = self._keep(body)
            names = self._names(found[1])
            names.mkdir(parents=True, exist_ok=True)
            for name in {found[2], digest}:
                (names / name).write_text(f"{digest} {self.headers.get('Content-Type', '')}")
            self._answer(201, digest=digest)
        else:
            self._answer(404)

    def _manifest(self, repository: str, reference: str) -> None:
        named = self._names(repository) / reference
        if not named.is_file():
            self._answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}')
            return
        digest, media_type = named.read_text().split(" ", 1)
        self._file(self._blob(digest.removeprefix("sha256:")), media_type, digest)

    def _file(self, file: Path, media_type: str, digest: str) -> None:
        if file.is_file():
            self._answer(200, file.read_bytes(), media_type, digest)
        else:
            self._answer(404)

    def _blob(self, digest: str) -> Path:
        return self.folder / "blobs" / digest

    def _names(self, repository: str) -> Path:
        """Its tags and digests, a file each."""
        return self.folder / "names" / repository.replace("/", "__")

    def _upload(self, number: str) -> Path:
        return self.folder / f"upload-{number}"

    def _keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self._blob(digest).parent.mkdir(parents=True, exist_ok=True)
        self._blob(digest).write_bytes(content)
        return f"sha256:{digest}"

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _go_on(self, repository: str, number: str) -> None:
        self._answer(202, headers={"Location": f"/v2/{repository}/blobs/uploads/{number}?go=on", "Range": "0-0"})

    def _answer(
        self, status: int, body: bytes = b"", media_type: str = "application/json", digest: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.send_response(status)
        given = {"Content-Length": str(len(body)), "Content-Type": media_type, "Docker-Content-Digest": digest}
        for name, value in {**given, **(headers or {})}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def serve(folder: Path, port: int) -> None:
    """Serve until the process is ended; the address goes to standard error."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = type("_Here", (_Handler,), {"folder": folder})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    sys.stderr.write(f"listening on 127.0.0.1:{server.server_port}\n")
    sys.stderr.flush()
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int((*sys.argv, "0")[2]))
