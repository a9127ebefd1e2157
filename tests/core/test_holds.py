"""Holds: the file of a config repository, read with the place of every mistake."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.holds import Hold, hold_on, holds_path, parse_holds
from ci_gitops.core.targets import Target
from ci_gitops.errors import SettingsError

SHOP, CART = (Target(app, "production", ".") for app in ("shop", "cart"))
PATH = holds_path("production")


def test_the_file_of_an_environment() -> None:
    assert PATH == ".ci-gitops/holds/production.yaml"
    text = """
- app: shop
  reason: loses orders
  by: alice
  at: 2026-11-21T16:00:00Z
- image: registry.example.com/shop/web:1.2
  reason: it crashes
- {reason: "the auditors are here"}
"""
    app, image, everything = parse_holds(text, PATH)
    assert app == Hold("loses orders", "shop", None, "alice", "2026-11-21T16:00:00Z")
    assert str(image.image) == "registry.example.com/shop/web:1.2"
    assert (app.stops(SHOP), app.stops(CART)) == (True, False)
    assert (image.stops(SHOP), everything.stops(CART)) == (False, True)
    assert hold_on(CART, [app, image]) is None
    assert hold_on(SHOP, [image, app, everything]) == app


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "null", "~"])
def test_nothing_is_held(text: str) -> None:
    assert parse_holds(text, PATH) == ()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("app: shop", f"{PATH}:1: expected a list of holds"),
        ("- shop", f"{PATH}:1: expected a hold"),
        ("- app: shop\n  raeson: x", f"{PATH}:2: a hold has no 'raeson'"),
        ("- app: [shop]", f"{PATH}:1: app: expected a text"),
        ("- image: 'A B'", f"{PATH}:1: image:"),
        ("- {", f"{PATH}:"),
        ("[]\n---\n[]", "found 2 documents"),
        ("- app: &a x\n- *a", f"{PATH}:2: expected a hold"),
        ("- " + "[" * 500, "nested"),
    ],
)
def test_what_is_no_list_of_holds_is_told_with_its_line(text: str, wrong: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_holds(text, PATH)
    assert wrong in raised.value.message


@given(st.text(alphabet="- appreson:{}[]&*\n\"'#|>!", max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(SettingsError):
        parse_holds(text, PATH)
