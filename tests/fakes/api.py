"""What the fakes of forges share: an API over HTTP at the address of a Git server with real repositories.

A fake gives `answer`; here are the way in and out, the faults, the check against the forge's own description, and
the record of what was asked.
"""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.clock import Clock
from tests.fakes.faults import Fault, FaultPlan
from tests.fakes.openapi import Spec
from tests.rig.git_server import GitServer

_HTML = b"<!DOCTYPE html><html><body>Sign in to continue</body></html>"


@dataclass(frozen=True)
class Call:
    method: str
    path: str  # as sent, %-escapes and all, without the query
    query: Mapping[str, Sequence[str]]
    body: Any  # JSON; None where there is none
    headers: Mapping[str, str]  # by lower-case name

    @property
    def parts(self) -> list[str]:
        return [urllib.parse.unquote(part) for part in self.path.strip("/").split("/")]

    def asked(self, name: str, default: str = "") -> str:
        """One parameter of the query."""
        return (self.query.get(name) or [default])[0]


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None  # JSON; None: no body
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """Ends a call with an error of the forge."""

    def __init__(self, status: int, message: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"message": message}, headers or {})


class FakeApi:
    """A forge's API. One call at a time, so that a fake needs no locks of its own."""

    prefix = "/api"  # what Git does not answer

    def __init__(self, git: GitServer, spec: Spec | None, clock: Clock) -> None:
        self.git = git
        self.clock = clock
        self.calls: list[Call] = []
        self.faults = FaultPlan()
        self.breaches: list[str] = []
        self._spec = spec
        self._lock = threading.RLock()
        git.api = self.serve

    def answer(self, call: Call) -> Answer:
        """What the forge answers; raises Refused."""
        raise NotImplementedError

    def described(self, path: str) -> str:
        """The path as the forge's description has it."""
        return path

    def asked(self, method: str, ending: str = "") -> list[Call]:
        """The calls with this method whose path ends so."""
        return [call for call in self.calls if call.method == method and call.path.endswith(ending)]

    def serve(self, handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        if not handler.path.startswith(self.prefix):
            return False
        path, _, query = handler.path.partition("?")
        headers = {name.lower(): value for name, value in handler.headers.items()}
        call = Call(handler.command, path, urllib.parse.parse_qs(query, keep_blank_values=True), _parsed(body), headers)
        self.calls.append(call)
        fault = self.faults.next(call.method, path)
        answer = None if fault and not fault.after else self._answered(call)
        with contextlib.suppress(ConnectionError):
            if fault:
                self._fail(handler, fault, answer)
            elif answer:
                _send(
                    handler,
                    answer.status,
                    _encoded(answer.body),
                    {"Content-Type": "application/json", **answer.headers},
                )
        return True

    def _answered(self, call: Call) -> Answer:
        with self._lock:
            path = self.described(call.path)
            self._breach(self._spec.check_request(call.method, path, call.query, call.body) if self._spec else [])
            try:
                answer = self.answer(call)
            except Refused as refused:
                answer = refused.answer
            except Exception as error:
                self._breach([f"{call.method} {call.path}: the fake broke: {error!r}"])
                raise
            if self._spec:
                self._breach(self._spec.check_answer(call.method, path, answer.status, answer.body))
            return answer

    def _breach(self, problems: Sequence[str]) -> None:
        self.breaches += [one for one in problems if one not in self.breaches]

    def _fail(self, handler: BaseHTTPRequestHandler, fault: Fault, answer: Answer | None) -> None:
        json_type = {"Content-Type": "application/json"}
        match fault.kind:
            case "hang":
                self.git._stop.wait(600)
                handler.close_connection = True
            case "drop":
                handler.close_connection = True
            case "status":
                body = fault.body if fault.body is not None else _encoded({"message": f"{fault.status} by plan"})
                _send(handler, fault.status, body, {**json_type, **fault.headers})
            case "truncated":
                body = _encoded(answer.body if answer else {})
                _send(
                    handler, answer.status if answer else 200, body, {**json_type, "Content-Length": str(len(body) + 9)}
                )
                handler.close_connection = True
            case "html":
                _send(handler, 200, _HTML, {"Content-Type": "text/html"})
            case "no-json":
                _send(handler, 200, b'{"id": 1', json_type)
            case "other-json":
                _send(handler, 200, b'["nothing", "of", "that"]', json_type)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body


def _encoded(body: Any) -> bytes:
    return b"" if body is None else json.dumps(body).encode()


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
