"""A server before the real API server that makes trouble on request: refusals, lost answers, broken streams.

Clients speak HTTP to it with any credentials; it speaks to the API server as the administrator of the kubeconfig.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import urllib3

from ci_gitops.adapters.cluster.kubeconfig import Access
from ci_gitops.adapters.cluster.kubernetes_login import Login

#: Deals with one request; True where it has answered or hung up.
Fault = Callable[["Handler"], bool]


@dataclass
class _Planned:
    pattern: re.Pattern[str]  # of "METHOD /path?query"
    fault: Fault
    times: int


@dataclass
class FaultProxy:
    url: str
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)  # "METHOD /path?query", headers
    _planned: list[_Planned] = field(default_factory=list)

    def plan(self, pattern: str, fault: Fault, times: int = 1) -> None:
        """The next `times` requests that match `pattern` get `fault`."""
        self._planned.append(_Planned(re.compile(pattern), fault, times))

    def count(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, line)) for line, _ in self.requests)

    def taken(self, line: str) -> Fault | None:
        for planned in self._planned:
            if planned.times and planned.pattern.search(line):
                planned.times -= 1
                return planned.fault
        return None

    def kubeconfig(self, folder: Path, user: Mapping[str, Any] | None = None, **cluster: Any) -> Path:
        """A kubeconfig whose only context `faulty` leads here."""
        path = folder / "kubeconfig"
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "faulty",
            "clusters": [{"name": "c", "cluster": {"server": self.url, **cluster}}],
            "users": [{"name": "u", "user": dict(user or {"token": "of-a-test"})}],
            "contexts": [{"name": "faulty", "context": {"cluster": "c", "user": "u"}}],
        }))  # fmt: skip
        return path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy
    login: Login
    body: bytes

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _answer(self) -> None:
        line = f"{self.command} {self.path}"
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.proxy.requests.append((line, dict(self.headers)))
        fault = self.proxy.taken(line)
        if fault is None or not fault(self):
            self.forward()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def log_message(self, *arguments: object) -> None:
        pass

    def asked(self) -> urllib3.BaseHTTPResponse:
        """What the API server says to this request."""
        kept = {name: value for name, value in self.headers.items() if name in ("Accept", "Content-Type")}
        grant = self.login.grant()
        return grant.pool.request(
            self.command, grant.host + self.path, body=self.body or None, preload_content=False,
            headers={**grant.headers, **kept},
        )  # fmt: skip

    def forward(self, lines: int | None = None) -> None:
        """Pass the answer on; with `lines` only so many of them, and then hang up."""
        response = self.asked()
        if "watch=true" not in self.path:
            self.send(response.status, response.read(), response.headers.get("Content-Type", ""))
            response.release_conn()
            return
        self.send_response(response.status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._pass_lines(response, lines)
        finally:
            response.close()

    def _pass_lines(self, response: urllib3.BaseHTTPResponse, lines: int | None) -> None:
        passed = 0
        for chunk in response.stream(amt=None):
            for line in chunk.splitlines(keepends=True):
                if passed == lines:
                    self.hang_up()
                    return
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                passed += line.endswith(b"\n")
            if passed == lines:
                self.hang_up()
                return
        self.wfile.write(b"0\r\n\r\n")

    def send(self, status: int, body: bytes, content: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        self.close_connection = True


def answers(status: int, message: str = "trouble", reason: str = "", **headers: str) -> Fault:
    """A Status as API servers send it."""
    document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason,
                "code": status}  # fmt: skip

    def fault(handler: Handler) -> bool:
        handler.send(status, json.dumps(document).encode(), **headers)
        return True

    return fault


def page(status: int, text: str) -> Fault:
    """What something before the API server says."""

    def fault(handler: Handler) -> bool:
        handler.send(status, text.encode(), "text/html")
        return True

    return fault


def unheard(handler: Handler) -> bool:
    """The request is lost on its way."""
    handler.hang_up()
    return True


def lost(handler: Handler) -> bool:
    """The request is carried out, and its answer is lost on its way."""
    handler.asked().read()
    handler.hang_up()
    return True


def cut(lines: int) -> Fault:
    """A stream breaks off after so many lines."""

    def fault(handler: Handler) -> bool:
        handler.forward(lines)
        return True

    return fault


def stream(*events: Mapping[str, Any]) -> Fault:
    """A watch that tells these events and ends."""

    def fault(handler: Handler) -> bool:
        handler.send(200, b"".join(json.dumps(event).encode() + b"\n" for event in events))
        return True

    return fault


def changed(change: Callable[[Any], None]) -> Fault:
    """The API server's own answer, changed."""

    def fault(handler: Handler) -> bool:
        response = handler.asked()
        document = json.loads(response.read())
        change(document)
        handler.send(response.status, json.dumps(document).encode())
        return True

    return fault


def until(event: threading.Event) -> Fault:
    """No byte before the event."""

    def fault(handler: Handler) -> bool:
        event.wait(30)
        handler.hang_up()
        return True

    return fault


@contextmanager
def fault_proxy(kubeconfig: Path, tls: ssl.SSLContext | None = None) -> Iterator[FaultProxy]:
    """Runs before the API server of the kubeconfig's current context; with `tls` it speaks HTTPS."""
    login = Login(Access(None, str(kubeconfig)))
    made = type("Faulty", (Handler,), {"login": login})
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        server.daemon_threads = True
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        made.proxy = FaultProxy(f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made.proxy  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()
    login.close()
