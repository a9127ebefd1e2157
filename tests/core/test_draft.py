"""Edits of text: golden cases for values replaced, and keys and items put in or taken out."""

from __future__ import annotations

import pytest

from ci_gitops.core.edits.draft import Draft
from ci_gitops.core.yamltext import parse_path
from ci_gitops.errors import EditError


def set_value(text: str, path: str, value: str, **how: bool) -> str:
    draft = Draft(text, "f.yaml")
    draft.set(0, parse_path(path), value, **how)
    return draft.edit().new


@pytest.mark.parametrize(
    ("text", "path", "value", "new"),
    [
        ("a: v1 # x\n", "a", "v2", "a: v2 # x\n"),
        ("a: 'v1'\r\nb: c", "a", "v2", "a: 'v2'\r\nb: c"),
        ('\ufeffa: "v1"', "a", "v2", '\ufeffa: "v2"'),
        ("a: v1\n", "a", "1.10", 'a: "1.10"\n'),
        ("a: 'v1'\n", "a", "it's", "a: 'it''s'\n"),
        ("a: 'v1'\n", "a", "x\ty", 'a: "x\\ty"\n'),
        ("a: 1.10\n", "a", "1.10", 'a: "1.10"\n'),
        ("a: !!str 1.10 # c\n", "a", "1.11", 'a: !!str "1.11" # c\n'),
        ("a:\nb: c\n", "a", "v2", "a: v2\nb: c\n"),
        ("a:  # c\n", "a", "v2", "a: v2  # c\n"),
        ("{a: , b: c}", "a", "v2", "{a: v2, b: c}"),
        ("{a: }", "a", "v2", "{a: v2 }"),
        ("a: ~\n", "a", "v2", "a: v2\n"),
        ("a: [x, 'y' , z]\n", "a[1]", "v2", "a: [x, 'v2' , z]\n"),
        ("a: [x]\n", "a[0]", "p,q", 'a: ["p,q"]\n'),
        ("- \n- b\n", "[0]", "v2", "- v2 \n- b\n"),
        ('{"a": 1}\n', "a", "v2", '{"a": "v2"}\n'),
        ("a:\n  long\n  text\nb: c\n", "a", "v2", "a:\n  v2\nb: c\n"),
        ("é: {ü: v1}\n", "é.ü", "v2", "é: {ü: v2}\n"),
    ],
)
def test_only_the_value_changes(text: str, path: str, value: str, new: str) -> None:
    assert set_value(text, path, value) == new


def test_a_number_stays_a_number_where_that_is_asked_for() -> None:
    assert set_value("a: 1\n", "a", "3", plain=True) == "a: 3\n"


def test_nothing_to_change_is_no_edit() -> None:
    draft = Draft("a: 'v1'\n")
    assert not draft.set(0, ("a",), "v1")
    assert not draft.edit().changed
    assert draft.edit().diff() == []


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("a: |\n  v1\n", "a", r"f.yaml:1:4: a is a block of text \(\|\)"),
        ("a: >-\n  v1\n", "a", "block of text"),
        ("a: '{{ .x }}'\n", "a", "is a template"),
        ("a: [v1]\n", "a", "a is a list, not a single value"),
        ("image: {tag: v1}\n", "image.tga", "there is no value image.tga"),
    ],
)
def test_a_place_that_cannot_be_edited_is_refused(text: str, path: str, says: str) -> None:
    with pytest.raises(EditError, match=says):
        set_value(text, path, "v2")


def test_a_missing_key_offers_the_near_one() -> None:
    with pytest.raises(EditError) as caught:
        set_value("image: {tag: v1}\n", "image.tga", "v2")
    assert caught.value.hint == "Did you mean 'tag'?"


@pytest.mark.parametrize(
    ("text", "after", "new"),
    [
        ("a:\n  b: 1 # x\n  c: 2\n", "b", "a:\n  b: 1 # x\n  k: v\n  c: 2\n"),
        ("a:\n  b: 1", None, "a:\n  b: 1\n  k: v"),
        ("a:\r\n  b: 1\r\nd: e\r\n", None, "a:\r\n  b: 1\r\n  k: v\r\nd: e\r\n"),
        ("a: {b: 1}\n", None, "a: {b: 1, k: v}\n"),
        ('{"a": {"b": "1"}}', None, '{"a": {"b": "1", "k": "v"}}'),
        ('{\n  "a": {\n    "b": "1"\n  }\n}', None, '{\n  "a": {\n    "b": "1",\n    "k": "v"\n  }\n}'),
        ("a:\n  b: |\n    text\n\n\nc: d\n", None, "a:\n  b: |\n    text\n  k: v\n\n\nc: d\n"),
        ("a:\n    b:\n    - x\n    # after\nc: d\n", None, "a:\n    b:\n    - x\n    k: v\n    # after\nc: d\n"),
        ("a: {}\n", None, "a: {k: v}\n"),
        ("a:\n  b: 1\n  c: |\n    text", None, "a:\n  b: 1\n  k: v\n  c: |\n    text"),
        ("a:\n  b: 1\n  c: |-\n    text", None, "a:\n  b: 1\n  c: |-\n    text\n  k: v"),
    ],
)
def test_a_key_is_inserted_as_its_neighbours_are(text: str, after: str | None, new: str) -> None:
    draft = Draft(text)
    draft.insert_key(0, ("a", "k"), "v", after=after)
    assert draft.edit().new == new


ENTRY = [("name", "x"), ("newTag", "1.10")]


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("l:\n- name: a\n  newTag: b\n", "l:\n- name: a\n  newTag: b\n- name: x\n  newTag: \"1.10\"\n"),
        ("l:\n  -   name: a # c\n# end\nm: n\n",
         'l:\n  -   name: a # c\n  -   name: x\n      newTag: "1.10"\n# end\nm: n\n'),
        ("l: [{name: a}]\n", 'l: [{name: a}, {name: x, newTag: "1.10"}]\n'),
        ("l:\n  - {name: a}\n", 'l:\n  - {name: a}\n  - {name: x, newTag: "1.10"}\n'),
        ("l: []\n", 'l:\n- name: x\n  newTag: "1.10"\n'),
        ("l: [] # none\nm: n\n", 'l: # none\n- name: x\n  newTag: "1.10"\nm: n\n'),
        ("l:\nm:\n  - n\n", 'l:\n  - name: x\n    newTag: "1.10"\nm:\n  - n\n'),
        ("l: null", 'l:\n- name: x\n  newTag: "1.10"'),
        ("m:\n  - n", 'm:\n  - n\nl:\n  - name: x\n    newTag: "1.10"'),
        ("m: n\r\n\r\n# end\r\n\r\n", 'm: n\r\n\r\n# end\r\nl:\r\n- name: x\r\n  newTag: "1.10"\r\n\r\n'),
        ("---\nm: n\n---\no: p\n", '---\nm: n\nl:\n- name: x\n  newTag: "1.10"\n---\no: p\n'),
        ("m: n\n...\n", 'm: n\nl:\n- name: x\n  newTag: "1.10"\n...\n'),
        ("m: |+\n  text\n\n\n", 'm: |+\n  text\n\n\nl:\n- name: x\n  newTag: "1.10"\n'),
        ("m: |\n  text\n\n", 'm: |\n  text\nl:\n- name: x\n  newTag: "1.10"\n\n'),
        ("", 'l:\n- name: x\n  newTag: "1.10"\n'),
        ("# nothing\n", '# nothing\nl:\n- name: x\n  newTag: "1.10"\n'),
        ("{m: n}\n", '{m: n, l: [{name: x, newTag: "1.10"}]}\n'),
        ('{\n  "m": "n"\n}\n', '{\n  "m": "n",\n  "l": [{"name": "x", "newTag": "1.10"}]\n}\n'),
        ("m: n\n# about\np: |\n  text", 'm: n\nl:\n- name: x\n  newTag: "1.10"\n# about\np: |\n  text'),
        ('{\n\t"l": [\n\t\t{"a": "b"}\n\t]\n}\n',
         '{\n\t"l": [\n\t\t{"a": "b"},\n\t\t{"name": "x", "newTag": "1.10"}\n\t]\n}\n'),
        ("l: [ # list\n  {a: b}, # a\n  {a: c} # c\n]\n",
         'l: [ # list\n  {a: b}, # a\n  {a: c}, # c\n  {name: x, newTag: "1.10"}\n]\n'),
        ("l: [\n  {a: b},\n  {a: c}, # c\n  ]\n",
         'l: [\n  {a: b},\n  {a: c}, # c\n  {name: x, newTag: "1.10"},\n  ]\n'),
        ("l: [\n  {a: b}, {a: c} ]\n", 'l: [\n  {a: b}, {a: c}, {name: x, newTag: "1.10"} ]\n'),
        ('{"l": []}', '{"l": [{"name": "x", "newTag": "1.10"}]}'),
        (
            '{\n  "l": [\n    {"name": "a"}\n  ]\n}\n',
            '{\n  "l": [\n    {"name": "a"},\n    {"name": "x", "newTag": "1.10"}\n  ]\n}\n',
        ),
    ],
)  # fmt: skip
def test_an_item_is_appended_as_its_neighbours_are(text: str, new: str) -> None:
    draft = Draft(text)
    draft.append(0, ("l",), ENTRY)
    assert draft.edit().new == new


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("l:\n- a: 1\n  d: x # c\n  b: 2\n", "l:\n- a: 1\n  b: 2\n"),
        ("l:\n- d: x # c\n  # about a\n  a: 1\n", "l:\n- # about a\n  a: 1\n"),
        ("l:\n- d: x\n  a: 1\n", "l:\n- a: 1\n"),
        ("l:\n- a: 1\n  d: x", "l:\n- a: 1"),
        ("l: [{d: x, a: 1}]\n", "l: [{a: 1}]\n"),
        ("l: [{a: 1, d: x }]\n", "l: [{a: 1 }]\n"),
        ("l:\r\n- a: 1\r\n  d: x\r\nm: n\r\n", "l:\r\n- a: 1\r\nm: n\r\n"),
    ],
)
def test_a_key_is_taken_out_with_its_line(text: str, new: str) -> None:
    draft = Draft(text)
    draft.remove_key(0, ("l", 0, "d"))
    assert draft.edit().new == new


@pytest.mark.parametrize(
    ("text", "number", "new"),
    [
        ("l:\n- a\n- b # c\n- c\n", 1, "l:\n- a\n- c\n"),
        ("l:\n  - n: a\n    t: b\n  - n: c\n", 0, "l:\n  - n: c\n"),
        ("l: [a, b, c]\n", 2, "l: [a, b]\n"),
        ("l:\n- a\n- b", 1, "l:\n- a"),
    ],
)
def test_an_item_is_taken_out(text: str, number: int, new: str) -> None:
    draft = Draft(text)
    draft.remove_item(0, ("l",), number)
    assert draft.edit().new == new


def test_several_edits_of_one_text() -> None:
    draft = Draft("# head\nl:\n- name: a\n  digest: x\n  newTag: v1\nm: 'n'")
    draft.set(0, ("m",), "o")
    draft.set(0, ("l", 0, "newTag"), "v2")
    draft.remove_key(0, ("l", 0, "digest"))
    draft.insert_key(0, ("l", 0, "newName"), "b", after="name")
    draft.append(0, ("l",), [("name", "z")])
    draft.set(0, ("l", 1, "name"), "w")
    edit = draft.edit()
    assert edit.new == "# head\nl:\n- name: a\n  newName: b\n  newTag: v2\n- name: w\nm: 'o'"
    assert [change.field for change in edit.changes] == [
        "m", "l[0].newTag", "l[0].digest", "l[0].newName", "l[1].name", "l[1].name",
    ]  # fmt: skip


def test_a_block_of_text_at_the_end_keeps_its_missing_line_end() -> None:
    for text in ("a: |\n  text", "l:\n- name: |\n    text"):
        with pytest.raises(EditError, match="would get a line end"):
            Draft(text).append(0, ("l",), ENTRY)


def test_keys_that_may_come_by_merge_are_not_added() -> None:
    draft = Draft("b: &b {t: 1}\na:\n  <<: *b\n  c: 1\n", "f.yaml")
    with pytest.raises(EditError, match=r"f.yaml:3:3: a takes keys from elsewhere by <<"):
        draft.insert_key(0, ("a", "t"), "2")


def test_the_diff_is_unified_and_knows_of_a_missing_last_line_end() -> None:
    draft = Draft("a: 1\nb: v1", "f.yaml")
    draft.set(0, ("b",), "v2")
    assert draft.edit().diff() == [
        "--- a/f.yaml", "+++ b/f.yaml", "@@ -1,2 +1,2 @@", " a: 1",
        "-b: v1", "\\ No newline at end of file", "+b: v2", "\\ No newline at end of file",
    ]  # fmt: skip
