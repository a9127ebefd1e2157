"""Planted secrets, and the places where one that leaks would show: output, argument lists, files left behind.

`Planted` makes secrets that need quoting and knows the forms in which they could be written. `Trap` is an
environment in which every program on PATH first writes down its arguments, and `Mirror` a server that sends
back whatever it was sent.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import secrets
import shutil
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass
class Planted:
    """Secrets by the names of their places."""

    values: dict[str, str] = field(default_factory=dict)

    def __call__(self, place: str, value: str | None = None) -> str:
        """The secret of a place; made at the first call, with characters that URLs, JSON and shells quote."""
        return self.values.setdefault(place, value or f"pl4nt/{secrets.token_hex(6)}+{place.lower()}=&%\"'~")

    def found_in(self, data: bytes) -> list[str]:
        """The places whose secret stands in `data` in any form."""
        texts = [data]
        if data.startswith(b"\x1f\x8b"):
            texts.append(gzip.decompress(data))
        return [
            place
            for place, value in self.values.items()
            if any(form in text for form in _forms(value) for text in texts)
        ]


def _forms(value: str) -> set[bytes]:
    raw = value.encode()
    forms = {
        value, value.strip(), urllib.parse.quote(value), urllib.parse.quote(value, safe=""),
        urllib.parse.quote_plus(value), json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1], base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), raw.hex(),
    }  # fmt: skip
    # In base64 a secret after `user:` stands at another offset: what lies wholly within it is the same.
    for shift in (1, 2):
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        forms.add(encoded[4:-4])
    if len(lines := value.strip().splitlines()) > 2:
        forms.update(line for line in lines[1:-1] if len(line) > 20)
    return {form.encode() for form in forms if len(form) > 8}


class Mirror:
    """Answers every request with `status` and with all that it was sent: address, headers and body."""

    def __init__(self, status: int) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Reflecting)
        self.server.daemon_threads = True
        _Reflecting.statuses[self.port] = status
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Reflecting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    statuses: dict[int, int] = {}  # noqa: RUF012 - shared by the handlers of all mirrors

    def log_message(self, *_: object) -> None:
        pass

    def _reflect(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        words = f"{self.requestline} {' '.join(f'{name}: {value}' for name, value in self.headers.items())}".encode()
        body = b"You sent " + words + b" " + sent + _decoded(self.headers.get("Authorization", ""))
        self.send_response(_Reflecting.statuses[self.server.server_address[1]])
        self.send_header("WWW-Authenticate", f'Basic realm="{self.headers.get("Authorization", "none")}"')
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _reflect


def _decoded(authorization: str) -> bytes:
    kind, _, encoded = authorization.partition(" ")
    return b" or " + base64.b64decode(encoded + "==") if kind.lower() == "basic" else b""


#: Programs that we may run. Git is the real one; the others repeat all that they are given, and fail.
REAL = ("git", "env", "ssh-keygen", "gpg", "gpgconf", "ssh")
REPEATING = ("docker", "buildah", "buildctl", "kustomize", "helm", "helmfile", "kubectl", "jsonnet", "cosign", "sops")
_LOGGED = """#!/bin/sh
printf '%s\\n' {name} "$@" >> "{log}"
"""

#: Says that it works, and then shows all that it was given: arguments, variables, input, and the files they name.
_REPEAT = r"""case "$*" in
  --version|version*) echo "$(basename "$0") version 9.9.9"; exit 0;;
  *inspect*) printf 'Name: it\nDriver: docker-container\nBuildKit version: v0.27.1\n'; exit 0;;
esac
{ echo "$0: $*"; env; cat
  for word in "$@"; do file="${word##*src=}"; if [ -f "$file" ]; then cat "$file"; fi; done
  for file in "$DOCKER_CONFIG/config.json" "$REGISTRY_AUTH_FILE"; do if [ -f "$file" ]; then cat "$file"; fi; done
} >&2
exit 1
"""


class Trap:
    """A PATH on which every program writes down its arguments, and folders that must be clean afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs, self.log, self.trace = folder / "programs", folder / "argv.log", folder / "git-trace.log"
        self.temporary, self.home = folder / "tmp", folder / "home"
        for made in (self.programs, self.temporary, self.home):
            made.mkdir(parents=True)
        self.log.touch()
        for name in REAL:
            if real := shutil.which(name):
                # Git writes down what it starts in turn, with the address that it hands on.
                trace = f'export GIT_TRACE="{self.trace}"\n' if name == "git" else ""
                self._program(name, f'{trace}exec "{real}" "$@"\n')
        for name in REPEATING:
            self._program(name, _REPEAT)

    def _program(self, name: str, rest: str) -> None:
        script = self.programs / name
        script.write_text(_LOGGED.format(name=name, log=self.log) + rest)
        script.chmod(0o755)

    def environ(self) -> Mapping[str, str]:
        return {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
        }

    def arguments(self) -> bytes:
        """All that programs were called with since the last look."""
        written = b"".join(file.read_bytes() for file in (self.log, self.trace) if file.exists())
        self.log.write_bytes(b"")
        self.trace.unlink(missing_ok=True)
        return written

    def left_behind(self) -> Iterator[Path]:
        """Files that are still in the folder for temporary ones."""
        return (path for path in self.temporary.rglob("*") if not path.is_dir())


def ssh_key(folder: Path) -> str:
    """A new private key without passphrase."""
    file = folder / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True, capture_output=True, timeout=60
    )
    return file.read_text()
