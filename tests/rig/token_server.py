"""A token server as GitLab's or Docker Hub's: signs what a registry then checks.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import trustme

from tests.rig.registry import PASSWORD, USER, RegistryServer, running_registry

IDENTITY_TOKEN = "identity-of-alice-7"
_SERVICE, _ISSUER = "registry-of-the-tests", "token-server-of-the-tests"


@dataclass
class TokenServer:
    """`lifetime` is how long its tokens live, in seconds; `asked` are the scopes that it was asked for."""

    key: str
    chain: list[str]
    lifetime: float = 300
    asked: list[str] = field(default_factory=list)

    def token(self, scope: str) -> str:
        kind, name, actions = scope.split(":")
        now = int(time.time())
        claims = {
            "iss": _ISSUER, "sub": USER, "aud": _SERVICE, "iat": now - 60, "nbf": now - 60,
            "exp": int(now + self.lifetime), "jti": secrets.token_hex(8),
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }  # fmt: skip
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"x5c": self.chain})


@contextlib.contextmanager
def registry_with_tokens(folder: Path) -> Iterator[tuple[RegistryServer, TokenServer]]:
    """A real registry that takes no password but only tokens of the server beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    issued = authority.issue_cert("token.example.com")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    leaf = issued.cert_chain_pems[0].bytes().decode()
    server = TokenServer(issued.private_key_pem.bytes().decode(),
                         [base64.b64encode(ssl.PEM_cert_to_DER_cert(leaf)).decode()])  # fmt: skip
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    http.tokens = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    auth = {"token": {"realm": f"http://127.0.0.1:{http.server_port}/auth", "service": _SERVICE, "issuer": _ISSUER,
                      "rootcertbundle": str(folder / "authority.pem")}}  # fmt: skip
    try:
        with running_registry(folder, auth=auth) as registry:
            yield registry, server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        given = self.headers.get("Authorization")
        scope = query.get("scope", ["repository:none:pull"])[0]
        if (given is None and scope.startswith("repository:public/")) or given == f"Basic {basic}":
            self._answer(scope)
        else:
            self._send(401, {"errors": [{"code": "UNAUTHORIZED", "message": "access denied by the token server"}]})

    def do_POST(self) -> None:
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if form.get("refresh_token") == [IDENTITY_TOKEN] and form.get("grant_type") == ["refresh_token"]:
            self._answer(form["scope"][0])
        else:
            self._send(401, {"errors": [{"code": "UNAUTHORIZED", "message": "unknown identity token"}]})

    def _answer(self, scope: str) -> None:
        tokens: TokenServer = self.server.tokens  # type: ignore[attr-defined]
        tokens.asked.append(scope)
        self._send(200, {"token": tokens.token(scope)})

    def _send(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        return
