"""The one way to a forge: what is repeated, what is waited for, what is no answer. On a fake of an API."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterator

import pytest
import requests

from ci_gitops.adapters.forges.transport import Line, LostAnswerError, session
from ci_gitops.adapters.patience import AwayError
from ci_gitops.errors import ForgeError
from tests.fakes.api import Answer, Call, FakeApi
from tests.fakes.clock import Clock
from tests.fakes.faults import FAULTS, Fault
from tests.fakes.web import Asked, Reply, scripted_web
from tests.rig.git_server import GitServer


class Counter(FakeApi):
    """Counts what has been done."""

    done = 0

    def answer(self, call: Call) -> Answer:
        self.done += call.method not in ("GET", "HEAD")
        return Answer(200, {"done": self.done})


@pytest.fixture
def api(git_server: GitServer) -> Counter:
    return Counter(git_server, None, Clock())


@pytest.fixture
def line(api: Counter) -> Line:
    clock = api.clock
    return Line("The forge", api.git.base, wait=clock.sleep, now=clock.now, clock=clock.now)


@pytest.fixture
def web(line: Line) -> Iterator[requests.Session]:
    with session(line) as made:
        yield made


def test_a_read_is_tried_again_and_a_write_only_where_it_was_surely_not_taken(
    api: Counter, line: Line, web: requests.Session
) -> None:
    url = f"{line.base}/api/things"
    lost = {name for name, fault in FAULTS.items() if fault.kind in ("drop", "truncated")}
    passing = [*lost, *(name for name in FAULTS if name.startswith("50"))]
    for name in passing:
        api.faults.add(FAULTS[name], times=2)
        assert web.get(url).json() == {"done": 0}, name
        api.faults.add(FAULTS[name], "POST", times=1)
        with pytest.raises(LostAnswerError, match="not known"):
            web.post(url, json={})
        assert api.done == int(FAULTS[name].after), name
        api.done = 0
    api.faults.add(FAULTS["429 for 5 s"], "POST")
    assert web.post(url, json={}).json() == {"done": 1}
    assert api.clock.slept[-1] == 5


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.kind == "hang"])
def test_a_silent_server_is_left(api: Counter, line: Line, name: str) -> None:
    with session(dataclasses.replace(line, seconds=1.0)) as web:
        api.faults.add(FAULTS[name], "GET")
        assert web.get(f"{line.base}/api/x").json() == {"done": 0}
        api.faults.add(FAULTS[name], "POST")
        with pytest.raises(LostAnswerError, match="no answer came in time"):
            web.post(f"{line.base}/api/x", json={})
    assert api.done == int(FAULTS[name].after)


def test_a_read_that_never_succeeds_ends_after_three_tries(api: Counter, line: Line, web: requests.Session) -> None:
    api.faults.add(FAULTS["502"], times=9)
    with pytest.raises(AwayError, match="answered 502"):
        web.get(f"{line.base}/api/x")
    assert len(api.calls) == 3


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_long_wait_is_not_waited_for(api: Counter, line: Line, web: requests.Session, method: str) -> None:
    api.faults.add(FAULTS["429 for an hour"])
    with pytest.raises(AwayError, match="asks to wait 3600 s"):
        web.request(method, f"{line.base}/api/x")
    assert api.clock.slept == []


@pytest.mark.parametrize(
    ("status", "header", "value", "waited"),
    [
        (429, "RateLimit-Reset", "+20", 20), (403, "X-RateLimit-Reset", "+30", 30), (403, "Retry-After", "7", 7),
        (429, "Retry-After", "Fri, 15 Jan 2027 08:00:09 GMT", 9), (429, "Other", "x", 1),
    ],
)  # fmt: skip
def test_limits_are_read_in_every_spelling(
    api: Counter, line: Line, web: requests.Session, status: int, header: str, value: str, waited: float
) -> None:
    given = str(int(api.clock.now()) + int(value)) if value.startswith("+") else value
    api.faults.add(Fault("status", status, {header: given, "X-RateLimit-Remaining": "0"}))
    assert web.get(f"{line.base}/api/x").ok
    assert api.clock.slept == [waited]


def test_a_refusal_is_the_caller_s(api: Counter, line: Line, web: requests.Session) -> None:
    for name in ("401", "403", "404", "405", "406", "409", "422"):
        api.faults.add(FAULTS[name])
        assert web.put(f"{line.base}/api/x").status_code == int(name)


@pytest.mark.parametrize("name", ["HTML", "no JSON"])
def test_what_is_no_json_is_no_answer(api: Counter, line: Line, web: requests.Session, name: str) -> None:
    api.faults.add(FAULTS[name], times=2)
    with pytest.raises(ForgeError, match=r"JSON.* for GET /api/x"):
        web.get(f"{line.base}/api/x")
    with pytest.raises(LostAnswerError):
        web.post(f"{line.base}/api/x")


def test_reads_by_post_may_be_named(api: Counter, line: Line) -> None:
    line = dataclasses.replace(line, reads=lambda request: (request.path_url or "").endswith("/graphql"))
    api.faults.add(FAULTS["502"], times=2)
    with session(line) as web:
        assert web.post(f"{line.base}/api/graphql").ok


def test_credentials_go_nowhere_else(line: Line) -> None:
    def script(asked: Asked) -> Reply:
        return Reply(200, {"Content-Type": "application/json"}, b"{}")

    with (
        scripted_web(script) as other,
        scripted_web(lambda _: Reply(302, {"Location": f"http://{other.host}/"})) as here,
    ):
        with session(dataclasses.replace(line, base=f"http://{here.host}")) as web:
            web.headers["PRIVATE-TOKEN"] = "secret"
            with pytest.raises(ForgeError, match="another place"):
                web.get(f"http://{here.host}/api")
            with pytest.raises(ForgeError, match="a change is not sent on"):
                web.post(f"http://{here.host}/api")
        assert other.asked == []


def test_nobody_listens(line: Line) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        session(dataclasses.replace(line, base=f"http://localhost:{port}")) as web,
        pytest.raises(AwayError, match="cannot be reached"),
    ):
        web.post(f"http://localhost:{port}/api")


def test_own_authorities(git_tls_server: GitServer, line: Line) -> None:
    api = Counter(git_tls_server, None, Clock())
    strange = dataclasses.replace(line, base=git_tls_server.base, seconds=20)
    with session(strange) as web, pytest.raises(ForgeError, match="not trusted"):
        web.get(f"{api.git.base}/api/x")
    with session(dataclasses.replace(strange, ca_file=git_tls_server.ca_file)) as web:
        assert web.get(f"{api.git.base}/api/x").ok


def test_a_proxy_of_the_environment(line: Line) -> None:
    def script(asked: Asked) -> Reply:
        return Reply(200, {"Content-Type": "application/json"}, b'{"through": "proxy"}')

    with scripted_web(script) as proxy:
        base = "http://forge.example.com"
        far = dataclasses.replace(line, base=base, environ={"http_proxy": f"http://{proxy.host}"})
        with session(far) as web:
            assert web.get(f"{base}/api/x").json() == {"through": "proxy"}


def test_in_real_time_a_silent_server_is_left(api: Counter, line: Line) -> None:
    api.faults.add(FAULTS["no answer"], times=3)
    real = dataclasses.replace(line, wait=lambda _: None, now=time.time, clock=time.monotonic, seconds=0.2)
    with session(real) as web, pytest.raises(AwayError, match="no answer came in time"):
        web.get(f"{line.base}/api/x")
