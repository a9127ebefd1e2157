from __future__ import annotations

import pytest

from ci_gitops.core.hosts import is_loopback, origin, proxy_for, same_organisation


@pytest.mark.parametrize(
    ("registry", "realm", "trusted"),
    [
        ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("https://registry-1.docker.io", "https://auth.docker.io/token", True),
        ("https://registry.example.co.uk", "https://gitlab.example.co.uk/jwt/auth", True),
        ("https://ghcr.io", "https://ghcr.io/token", True),
        ("https://ghcr.io", "https://evil.io/token", False),
        ("https://registry.example.com", "https://example.com.evil.net/token", False),
        ("https://registry.example.com", "https://evil-example.com/token", False),
        ("https://10.0.0.1:5000", "https://10.0.0.1:8443/token", True),
        ("https://10.0.0.1:5000", "https://10.0.0.2/token", False),
    ],
)
def test_which_token_servers_belong_to_a_registry(registry: str, realm: str, trusted: bool) -> None:
    assert same_organisation(registry, realm) is trusted


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.1.2.3", True),
        ("[::1]:5000", True),
        ("10.99.0.1:5000", False),
        ("localhost.example.com", False),
        ("registry.example.com", False),
    ],
)
def test_what_the_loopback_is(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_an_origin_has_its_port_even_where_none_is_written() -> None:
    assert origin("https://registry.example.com/v2/") == origin("https://registry.example.com:443/")
    assert origin("http://registry.example.com") != origin("https://registry.example.com")


@pytest.mark.parametrize(
    ("url", "through"),
    [
        ("http://registry.example.com/v2/", "http://proxy:3128"),
        ("https://registry.example.com/v2/", "http://all:3128"),
        ("http://internal.example.com/v2/", None),
        ("http://a.corp:5000/v2/", None),
        ("http://acorp/v2/", "http://proxy:3128"),
        ("http://127.0.0.1:5000/v2/", None),
    ],
)
def test_which_requests_go_through_a_proxy(url: str, through: str | None) -> None:
    environ = {
        "http_proxy": "http://proxy:3128",
        "ALL_PROXY": "http://all:3128",
        "NO_PROXY": "internal.example.com,.corp",
    }
    assert proxy_for(url, environ) == through


def test_everything_may_be_spared_the_proxy() -> None:
    assert proxy_for("http://example.com", {"HTTP_PROXY": "http://proxy:3128", "no_proxy": "*"}) is None
