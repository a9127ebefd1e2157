"""Which addresses in an image's labels our token may be used for."""

from __future__ import annotations

import pytest

from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.core.neighbours import is_neighbour, same_server

CONFIG = "https://gitlab.example.com/shop/ops/config.git"


@pytest.mark.parametrize(
    ("source", "config", "said"),
    [
        ("https://gitlab.example.com/shop/ops/web", CONFIG, True),
        ("https://gitlab.example.com/Shop/Ops/web.git", CONFIG, True),
        ("https://gitlab.example.com/shop/ops/below/web", CONFIG, True),
        ("https://gitlab.example.com/shop/ops/web", "git@gitlab.example.com:shop/ops/config.git", True),
        ("https://gitlab.example.com/shop/web", CONFIG, False),
        ("https://gitlab.example.com/shop/ops", CONFIG, False),
        ("https://gitlab.example.com/shop/ops-secret/web", CONFIG, False),
        ("https://gitlab.example.com/board/minutes", CONFIG, False),
        ("https://gitlab.example.com/shop/ops/../../board/minutes", CONFIG, False),
        ("https://gitlab.example.com/shop/ops/%2e%2e/%2e%2e/board/minutes", CONFIG, False),
        ("https://gitlab.example.com/shop/ops//board", CONFIG, False),
        ("https://gitlab.example.com/shop/ops/./x", CONFIG, False),
        ("https://gitlab.example.com/shop\\ops/x", CONFIG, False),
        ("https://gitlab.example.com/web", "https://gitlab.example.com/config", True),
        ("https://gitlab.example.com/board/minutes", "https://gitlab.example.com/config", False),
        ("https://gitlab.example.com/", CONFIG, False),
    ],
)
def test_the_same_group(source: str, config: str, said: bool) -> None:
    assert is_neighbour(parse_git_url(source), parse_git_url(config), ()) is said


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("https://gitlab.example.com/back/web", True),
        ("https://gitlab.example.com/Back/web.git", True),
        ("https://gitlab.example.com/back/*", True),
        ("https://gitlab.example.com/back", False),
        ("https://gitlab.example.com/back/w", False),
        ("https://other.example.com/back/web", False),
        ("http://gitlab.example.com/back/web", False),
        ("back/*", False),
    ],
)
def test_what_the_configuration_names(pattern: str, said: bool) -> None:
    source = parse_git_url("https://gitlab.example.com/back/web")
    assert is_neighbour(source, parse_git_url(CONFIG), [pattern]) is said


def test_a_pattern_is_not_led_elsewhere() -> None:
    source = parse_git_url("https://gitlab.example.com/back/../board/minutes")
    assert not is_neighbour(source, parse_git_url(CONFIG), ["https://gitlab.example.com/back/*"])


@pytest.mark.parametrize(
    ("source", "config", "said"),
    [
        ("https://gitlab.example.com/a/b", CONFIG, True),
        ("https://gitlab.example.com:8443/a/b", CONFIG, False),
        ("http://gitlab.example.com/a/b", CONFIG, False),
        ("https://gitlab.example.com.evil.example.com/a/b", CONFIG, False),
        ("https://gitlab.example.com@evil.example.com/a/b", CONFIG, False),
        ("git@gitlab.example.com:a/b", CONFIG, False),
        ("https://gitlab.example.com/a/b", "ssh://git@gitlab.example.com:2222/a/config", True),
        ("/srv/git/b", CONFIG, False),
    ],
)
def test_the_same_server(source: str, config: str, said: bool) -> None:
    assert same_server(parse_git_url(source), parse_git_url(config)) is said
