from __future__ import annotations

from ci_gitops.core.messages import commit_message, subject, summary
from ci_gitops.core.trailers import ImageMove, Trailers, ValueMove, parse_trailers

WEB = ImageMove(
    "staging",
    "shop",
    "registry.example.com:5000/shop/web",
    "registry.example.com:5000/shop/web:1.1",
    "registry.example.com:5000/shop/web:1.2@sha256:" + "a" * 64,
)
API = ImageMove("staging", "api", "api", None, "api@sha256:" + "b" * 64)


def test_one_image_is_named_with_both_tags() -> None:
    assert summary([WEB], []) == "web 1.1 -> 1.2"
    assert summary([API], []) == "api bbbbbbbbbbbb"


def test_the_same_image_in_two_apps_is_one_image() -> None:
    twin = ImageMove("staging", "other", WEB.name, WEB.old, WEB.new)
    assert summary([WEB, twin], []) == "web 1.1 -> 1.2"


def test_many_are_counted() -> None:
    value = ValueMove("staging", "api", "values.yaml", "replicas", "2", "3")
    assert summary([WEB, API], [value]) == "2 images and 1 value in 2 apps"
    assert summary([], [value]) == "api replicas 2 -> 3"


def test_the_template_is_filled_once_and_stays_one_line() -> None:
    assert subject("{app}: {summary} {x}\n[skip ci]", [WEB], []) == "shop: web 1.1 -> 1.2 {x} [skip ci]"
    braces = ImageMove("staging", "{summary}", "web", None, "web:1")
    assert subject("{app}", [braces], []) == "{summary}"


def test_the_message_carries_its_trailers() -> None:
    message = commit_message(None, Trailers((WEB,), actor="alice"), ["dropped a stale digest"])
    assert message.startswith("deploy(staging): web 1.1 -> 1.2\n\n- staging/shop: registry.example.com:5000/shop/web ")
    assert "- note: dropped a stale digest" in message
    assert parse_trailers(message) == Trailers((WEB,), actor="alice")
