"""Servers that send a byte now and then: every request ends, says how far it came, and leaves no connection behind."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from ci_gitops.adapters import http_check
from ci_gitops.adapters.chart_index import chart_versions
from ci_gitops.adapters.forges.transport import Line, LostAnswerError, session
from ci_gitops.adapters.patience import AwayError
from ci_gitops.adapters.registry import Registry
from ci_gitops.adapters.registry_http import RegistryHttp
from ci_gitops.adapters.registry_login import Login
from ci_gitops.core.images import ImageRef
from ci_gitops.errors import TemporaryError
from tests.fakes.dripping import DRIPS, dripping_server
from tests.fakes.web import Reply, scripted_web

_LONGEST = 0.4
_LIMIT = rf"within {_LONGEST} s"


def http(host: str, **settings: object) -> RegistryHttp:
    return RegistryHttp(host, wait=lambda _: None, scheme="http", longest=_LONGEST, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("drip", DRIPS)
def test_a_registry_that_drips(drip: str) -> None:
    with dripping_server(drip) as server:
        with pytest.raises(AwayError, match=_LIMIT) as caught:
            Registry(http(server.host)).tags("shop/web")
        assert server.ended(9)
    assert caught.value.exit_code == 75
    assert server.host in caught.value.message
    assert caught.value.hint
    assert ("bytes had come" in caught.value.message) == ("body" in drip or drip == "chunks")
    assert (" of 9000 bytes" in caught.value.message) == (drip == "body")


def test_an_encrypted_one(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    for drip in ("headers", "body without a length"):
        with dripping_server(drip, context) as server:
            encrypted = RegistryHttp(server.host, ca_file=tmp_path / "authority.pem", scheme="https", longest=_LONGEST)
            with pytest.raises(AwayError, match=_LIMIT):
                Registry(encrypted).tags("shop/web")
            line = Line("The forge", f"https://{server.host}", ca_file=tmp_path / "authority.pem", longest=_LONGEST)
            with session(line) as web, pytest.raises(AwayError, match=_LIMIT):
                web.get(f"https://{server.host}/api")
            assert server.ended(9)


def test_a_chart_repository_that_drips() -> None:
    with dripping_server("body") as server, pytest.raises(AwayError, match=_LIMIT):
        chart_versions(http(server.host), f"http://{server.host}/charts", "web", None)


@pytest.mark.parametrize("login", [None, Login("", "the test", identity_token="identity")])
def test_a_token_server_that_drips(login: Login | None) -> None:
    with dripping_server("headers") as tokens:
        challenge = {"WWW-Authenticate": f'Bearer realm="http://{tokens.host}/auth",service="x"'}
        with scripted_web(lambda _: Reply(401, challenge)) as web, pytest.raises(AwayError, match=_LIMIT):
            Registry(http(web.host, login=login)).head(ImageRef.parse(f"{web.host}/shop/web:1"))
        assert tokens.ended(9)


def test_a_token_server_that_hangs_up() -> None:
    """Where an identity token is exchanged, too: no bug of ours."""
    challenge = {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:1/auth",service="x"'}
    with scripted_web(lambda _: Reply(401, challenge)) as web, pytest.raises(AwayError, match="cannot be reached"):
        Registry(http(web.host, login=Login(web.host, "the test", identity_token="identity"))).tags("shop/web")


def test_a_registry_that_drips_through_a_proxy() -> None:
    with dripping_server("first line") as proxy:
        far = RegistryHttp("registry.example.com", environ={"https_proxy": f"http://{proxy.host}"}, longest=_LONGEST)
        with pytest.raises(AwayError, match=_LIMIT):
            Registry(far).tags("shop/web")
        assert proxy.ended(9)


@pytest.mark.parametrize("drip", ["headers", "chunks"])
def test_a_forge_that_drips(drip: str) -> None:
    with dripping_server(drip) as server:
        line = Line("The forge", f"http://{server.host}", wait=lambda _: None, longest=_LONGEST)
        with session(line) as web:
            with pytest.raises(AwayError, match=_LIMIT):
                web.get(f"http://{server.host}/api")
            with pytest.raises(LostAnswerError, match=rf"{_LIMIT}.*not known"):
                web.post(f"http://{server.host}/api")
        assert server.ended(9)


@pytest.mark.parametrize("drip", ["more headers", "body"])
def test_an_address_of_a_gate_that_drips(drip: str) -> None:
    with dripping_server(drip) as server:
        address = http_check.Address.of(f"http://{server.host}/ready")
        with pytest.raises(TemporaryError, match=_LIMIT):
            http_check.ask(address, seconds=_LONGEST)
        assert server.ended(9)
