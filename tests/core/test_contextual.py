"""Short diffs: numbers of both sides, two lines around, gaps."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.contextual import contextual, shown

OLD = [f"line {number}" for number in range(1, 11)]


def test_a_change_in_the_middle() -> None:
    new = [*OLD[:4], "changed", "added", *OLD[5:]]
    assert [line.text for line in contextual(OLD, new)] == [
        "  ...",
        "  3,  3   line 3",
        "  4,  4   line 4",
        "  5     - line 5",
        "      5 + changed",
        "      6 + added",
        "  6,  7   line 6",
        "  7,  8   line 7",
        "  ...",
    ]


def test_changes_far_from_each_other_have_a_gap_between() -> None:
    texts = [line.text for line in contextual(OLD, ["first", *OLD[1:-1], "last"])]
    assert texts[0] == "  1     - line 1"
    assert texts.count("  ...") == 1
    assert texts[-1] == "     10 + last"


def test_nothing_and_something_new() -> None:
    assert contextual(OLD, OLD) == []
    assert [line.mark for line in contextual([], ["a", "b"])] == ["+", "+"]


def test_too_long_is_cut_and_told() -> None:
    lines = contextual([], OLD, 4)
    assert [line.text for line in lines][-1] == "  ... 6 more lines"
    assert len(lines) == 5


def test_a_line_of_a_megabyte_is_cut() -> None:
    (line,) = contextual([], ["x" * 10**6])
    assert line.text.endswith("xxx … (1000000 characters)")
    assert len(line.text) < 400


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_the_diff_leads_from_one_to_the_other(old: list[str], new: list[str]) -> None:
    lines = contextual(old, new)
    removed = {int(line.text[:3]) - 1 for line in lines if line.mark == "-"}
    added = {int(line.text[4:7]) - 1 for line in lines if line.mark == "+"}
    kept = [text for number, text in enumerate(old) if number not in removed]
    assert kept == [text for number, text in enumerate(new) if number not in added]


def test_what_the_server_keeps_for_itself_is_not_shown() -> None:
    last = "kubectl.kubernetes.io/last-applied-configuration"
    document: dict[str, Any] = {
        "kind": "X",
        "metadata": {"name": "a", "uid": "1", "managedFields": [], "annotations": {last: "{}", "a": "b"}},
        "spec": {"text": "one\ntwo\n"},
        "status": {"ready": True},
    }
    assert shown(document) == [
        "kind: X", "metadata:", "  annotations:", "    a: b", "  name: a", "spec:", "  text: |", "    one", "    two",
    ]  # fmt: skip
    assert shown(None) == []
