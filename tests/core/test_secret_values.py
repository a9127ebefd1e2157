"""Secrets in objects: hidden wherever they stand, equal values under equal placeholders."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.secret_values import LAST_APPLIED, Placeholders


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def secret(**content: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **content}


def test_equal_values_have_equal_placeholders_however_they_are_written() -> None:
    hidden = Placeholders()
    declared = hidden.masked(secret(stringData={"a": "hunter2", "b": "other"}, type="Opaque"))
    live = hidden.masked(secret(data={"a": encoded("hunter2"), "b": encoded("changed")}))
    assert declared["stringData"] == {"a": "[masked #1]", "b": "[masked #2]"}
    assert live["data"] == {"a": "[masked #1]", "b": "[masked #3]"}
    assert declared["type"] == "Opaque"


def test_what_is_no_base64_is_hidden_too() -> None:
    assert Placeholders().masked(secret(data={"a": "not base64!", "b": 12, "c": None}))["data"] == {
        "a": "[masked #1]", "b": "[masked #2]", "c": None,
    }  # fmt: skip


def test_other_objects_are_shown_but_for_annotations_that_repeat_objects() -> None:
    annotations = {LAST_APPLIED: json.dumps(secret(data={"a": encoded("hunter2")})), "team": "shop", "note": "x"}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"annotations": annotations}, "data": {"a": "b"}}
    masked = Placeholders(["note"]).masked(document)
    assert masked["data"] == {"a": "b"}
    assert masked["metadata"]["annotations"] == {LAST_APPLIED: "[masked #1]", "team": "shop", "note": "[masked #2]"}
    assert document["metadata"]["annotations"] is annotations


def test_the_words_of_others_are_concealed() -> None:
    document = secret(data={"a": encoded("hunter2")}, stringData={"b": "pass:word", "c": "ab"})
    words = f"cannot take 'hunter2', nor {encoded('hunter2')} or pass:word"
    assert Placeholders().conceal(words, document) == "cannot take '[masked #1]', nor [masked #1] or [masked #2]"
    assert Placeholders().conceal(words, {"kind": "ConfigMap"}) == words


@given(st.dictionaries(st.sampled_from("abc"), st.text(min_size=8), min_size=1), st.booleans())
def test_no_value_is_left(values: dict[str, str], as_data: bool) -> None:
    raw = {name: value.encode(errors="surrogatepass") for name, value in values.items()}
    data = {name: base64.b64encode(value).decode() for name, value in raw.items()}
    content: dict[str, Any] = {"data": data} if as_data else {"stringData": values}
    shown = Placeholders().masked(secret(**content))
    (masked,) = (shown[name] for name in content)
    assert all(value.startswith("[masked #") for value in masked.values())
    for one, value in values.items():
        assert all((masked[one] == masked[other]) == (value == values[other]) for other in values)
