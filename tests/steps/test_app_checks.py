"""Questions to the application itself: asked again until they pass or their time is over, and bounded."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from ci_gitops.adapters.http_check import Address, ask
from ci_gitops.core.app_checks import Checked, checked_health
from ci_gitops.errors import TemporaryError
from ci_gitops.output import Output, clean
from ci_gitops.run import Run
from ci_gitops.settings import parse_config
from ci_gitops.steps.app_checks import run_checks
from ci_gitops.steps.waiting import Clock
from tests.fakes.web import Asked, Reply, Web, scripted_web


@dataclass(frozen=True)
class Check:
    http: str
    expect: int = 200
    within: timedelta = timedelta(seconds=30)


class Time:
    """Sleeping is what makes time pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def checked(*checks: Check, deadline: float = 1000.0, told: io.StringIO | None = None) -> tuple[Checked, ...]:
    passing = Time()
    run = Run(environ={}, output=Output(err=told or io.StringIO()))
    clock = Clock(monotonic=lambda: passing.now)
    return run_checks(run, checks, deadline=deadline, clock=clock, sleep=passing.sleep)


def answering(*statuses: int, body: bytes = b"") -> Any:
    left = list(statuses)
    return lambda asked: Reply(left.pop(0) if len(left) > 1 else left[0], body=body)


def test_a_check_that_passes() -> None:
    with scripted_web(answering(200)) as web:
        [found] = checked(Check(f"http://{web.host}/ready"))
    assert (found.end, found.message, found.tries) == ("passed", "answered 200", 1)
    assert checked_health([found]).status == "healthy"
    assert checked_health([]).status == "healthy"


def test_it_is_asked_again_until_it_passes() -> None:
    told = io.StringIO()
    with scripted_web(answering(503, 503, 200)) as web:
        [found] = checked(Check(f"http://{web.host}/ready"), told=told)
    assert (found.end, found.tries) == ("passed", 3)
    assert "answered 503, not 200; asked again for" in told.getvalue()


def test_one_that_never_passes_is_degraded_and_says_what_was_answered() -> None:
    with scripted_web(answering(500, body=b"\n  no \x1b[31mdatabase\nmore")) as web:
        [found, other] = checked(Check(f"http://{web.host}/ready"), Check(f"http://{web.host}/", 500))
    assert (found.end, other.end) == ("failed", "passed")
    health = checked_health([found, other])
    assert health.status == "degraded"
    assert f"Check http://{web.host}/ready: answered 500, not 200: no database (" in health.message


def test_one_that_the_run_leaves_no_time_says_nothing_about_the_application() -> None:
    with scripted_web(answering(500)) as web:
        [found] = checked(Check(f"http://{web.host}/"), deadline=3.0)
    assert found.end == "late"
    assert checked_health([found]).status == "progressing"


def test_nobody_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        [found] = checked(Check(f"http://127.0.0.1:{port}/"))
    assert found.end == "failed"
    assert "does not answer" in found.message
    assert "refused" in found.message


def test_redirects_are_followed_unless_they_are_what_is_expected() -> None:
    def script(asked: Asked) -> Reply:
        return Reply(302, {"Location": "/there"}) if asked.path == "/here" else Reply(200)

    with scripted_web(script) as web:
        followed, kept = checked(Check(f"http://{web.host}/here"), Check(f"http://{web.host}/here", 302))
    assert (followed.end, kept.end) == ("passed", "passed")


@pytest.mark.parametrize(
    ("location", "words"), [("/again", "more than 5 times"), ("file:///etc/passwd", "no web address")]
)
def test_redirects_have_an_end(location: str, words: str) -> None:
    with scripted_web(lambda asked: Reply(301, {"Location": location})) as web:
        with pytest.raises(TemporaryError, match=words):
            ask(Address.of(f"http://{web.host}/"))
        assert len(web.asked) <= 6


def test_a_login_goes_to_its_host_alone_and_shows_nowhere() -> None:
    told = io.StringIO()
    with scripted_web(answering(403)) as other:
        with scripted_web(lambda asked: Reply(307, {"Location": f"http://{other.host}/x?token=door-key"})) as web:
            check = Check(f"http://alice:rabbit-hole-9@{web.host}/ready?key=garden-12", within=timedelta(seconds=2))
            [found] = checked(check, told=told)
        assert all("authorization" not in asked.headers for asked in other.asked)
    assert all(asked.headers["authorization"].startswith("Basic ") for asked in web.asked)
    shown = f"{found.line} {found.document} {told.getvalue()}"
    for secret in ("alice", "rabbit-hole-9", "garden-12", "door-key"):
        assert secret not in shown
    assert "rabbit-hole-9" not in clean("the log says rabbit-hole-9")
    assert f"at http://{other.host}/x?…" in found.message


def test_own_authorities_are_trusted_and_unknown_ones_are_not(tmp_path: Path) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with secured(authority) as port:
        assert ask(Address.of(f"https://localhost:{port}/"), ca_file=file).status == 200
        with pytest.raises(TemporaryError, match="certificate verify failed"):
            ask(Address.of(f"https://localhost:{port}/"))


@contextmanager
def secured(authority: trustme.CA) -> Iterator[int]:
    import ssl
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            return

    class Quiet(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            return

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_one_that_answers_a_byte_now_and_then_does_not_hold_us() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.1):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(TemporaryError, match="did not answer within"):
            ask(Address.of(f"http://127.0.0.1:{listener.getsockname()[1]}/"), seconds=0.5)
        assert time.monotonic() - began < 60
    finally:
        over.set()
        thread.join()
        listener.close()


def test_a_large_answer_is_not_read_to_its_end() -> None:
    with scripted_web(lambda asked: Reply(404, body=b"y" * 3_000_000)) as web:
        assert len(ask(Address.of(f"http://{web.host}/")).said) == 200


def test_the_settings_have_what_it_needs() -> None:
    config = parse_config(
        "version: 1\nenvironments: {production: {checks: [{http: 'http://localhost:1/', within: 5s}]}}\n", "f.yaml"
    )
    [check] = config.environments["production"].checks
    assert (check.expect, check.within) == (200, timedelta(seconds=5))
    [found] = checked(check)  # type: ignore[arg-type]
    assert found.end == "failed"


def test_a_proxy_is_used_where_the_environment_names_one() -> None:
    def script(asked: Asked) -> Reply:
        return Reply(204 if asked.path == "http://shop.example.com/ready" else 404)

    with scripted_web(script) as web:
        run = Run(environ={"http_proxy": f"http://{web.host}"}, output=Output(err=io.StringIO()))
        [found] = run_checks(run, [Check("http://shop.example.com/ready", 204)], deadline=time.monotonic() + 9)
    assert found.end == "passed"
    assert isinstance(web, Web)
