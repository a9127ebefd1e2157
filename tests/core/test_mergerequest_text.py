"""The marked block: kept current, read back whole, harmless whatever it is given."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.markdown import code, harmless
from ci_gitops.core.mergerequest_text import Block, Section, parse_block, put_block, title_for
from ci_gitops.core.trailers import ImageMove, Source, Trailers, ValueMove


def moved(app: str, new: str, old: str | None = "web:1", pipeline: int = 1) -> Trailers:
    return Trailers((ImageMove("production", app, "web", old, new),), (), Source("group/app", "c" * 40, pipeline), "ci")


def test_a_block_is_read_back_and_replaced_in_place() -> None:
    first = put_block("By Alice.\n", Block().updated(moved("shop", "web:2")))
    text = first + "\n\nAlice again."
    second = put_block(text, Block().updated(moved("shop", "web:3")))
    assert second.startswith("By Alice.\n\n<!-- ci-gitops:begin")
    assert second.endswith("Alice again.")
    assert second.count("ci-gitops:begin") == 1
    block = parse_block(second)
    assert block
    assert block.targets == {"production/shop"}
    assert block.commits[0].source == Source("group/app", "c" * 40, 1)
    assert "| `shop` | `web` | `1` | **`3`** |" in second


def test_the_same_block_again_changes_nothing() -> None:
    block = Block().updated(moved("shop", "web:2"))
    once = put_block("Text", block)
    assert put_block(once, block) == once
    assert put_block(once.replace("\n", "\r\n"), block) == once


def test_an_update_keeps_the_first_old_value_and_the_newest_source() -> None:
    block = (
        Block()
        .updated(moved("shop", "web:2"))
        .updated(moved("cart", "web:5"))
        .updated(moved("shop", "web:3", "web:2", 9))
    )
    by_app = {move.app: (move.old, move.new) for move in block.moves}
    assert by_app == {"shop": ("web:1", "web:3"), "cart": ("web:1", "web:5")}
    newest = next(one for one in block.commits if one.images[0].app == "shop")
    assert newest.source
    assert newest.source.pipeline == 9
    assert block.without(["production/shop"]).targets == {"production/cart"}


def test_what_a_forge_takes_for_a_command_is_made_harmless() -> None:
    assert harmless("/merge\n  /close now\n- /assign @me\na /path stays") == (
        "\\/merge\n  \\/close\u00a0now\n- \\/assign @\u200bme\na /path stays"
    )
    assert harmless("\x1b[31m<!-- ci-gitops:end -->") == "&lt;!-- ci-gitops:end --&gt;"


def test_a_cell_stays_a_cell() -> None:
    assert code("a|b`c\nd") == "``a\\|b`c d``"


def test_a_long_table_is_cut_and_still_read_back() -> None:
    trailers = Trailers(tuple(ImageMove("production", f"app{n}", "web", "web:1", "web:2") for n in range(500)))
    text = put_block("Alice", Block().updated(trailers), [Section("x" * 60_000)], limit=16_000)
    assert len(text) <= 16_000
    assert "450 more changes not listed here." in text
    block = parse_block(text)
    assert block
    assert len(block.targets) == 500


def test_what_is_not_our_block_is_no_block() -> None:
    assert parse_block("") is None
    assert parse_block("<!-- ci-gitops:begin {broken} -->\n<!-- ci-gitops:end -->") is None
    assert parse_block('<!-- ci-gitops:begin {"trailers": 3} -->\n<!-- ci-gitops:end -->') is None


def test_titles() -> None:
    one = moved("shop", "r.example.com:5000/web:1.3@sha256:" + "0" * 64)
    assert title_for("production", Block((one,))) == "Update shop in production to 1.3"
    back = replace(one, back_to="1" * 40)
    assert title_for("production", Block((back,))) == "Roll back shop in production to 1.3"
    assert title_for("production", Block((back, moved("shop", "web:2")))).startswith("Update shop in production")
    value = Trailers(values=(ValueMove("production", "a", "f", "k", "1", "2"),))
    many = Block((moved("shop", "web:2"), moved("cart", "web:3"), value))
    assert title_for("production", many) == "Update 3 apps in production (3 changes)"
    assert len(title_for("p" * 500, many)) == 200


_words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(_words, _words, _words, _words, st.text(max_size=50))
def test_any_values_survive_the_round_trip(app: str, name: str, old: str, new: str, around: str) -> None:
    block = Block().updated(Trailers((ImageMove("production", app, name, old, new),)))
    text = put_block(harmless(around), block)
    assert parse_block(text) == block
    assert text.count("<!-- ci-gitops:begin") == text.count("<!-- ci-gitops:end -->") == 1


@pytest.mark.parametrize(
    "written",
    [
        "<!-- ci-gitops:begin {" * 20_000,
        "<!-- ci-gitops:begin {} -->\n" * 20_000,
        '<!-- ci-gitops:begin {"trailers":' + "[" * 100_000 + "} -->\nx\n<!-- ci-gitops:end -->",
        '<!-- ci-gitops:begin {"trailers": ["Ci-Gitops-Source: a b pipeline='
        + "9" * 5_000
        + '"]} -->\n<!-- no end -->',
    ],
)
def test_no_description_stops_us(written: str) -> None:
    began = time.process_time()
    assert parse_block(written) is None
    assert put_block(written, Block().updated(moved("shop", "web:2"))).count("ci-gitops:end") >= 1
    assert time.process_time() - began < 5
