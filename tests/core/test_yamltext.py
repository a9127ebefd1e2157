"""Places of values in YAML text: the parser's marks are trusted only because these cases hold."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.yamlscalar import kind_of, needs_quotes, write_string
from ci_gitops.core.yamltext import Mapping, Scalar, Sequence, find, parse, parse_path, path_text, walk
from ci_gitops.errors import EditError, UsageError


def span(text: str, path: str, document: int = 0) -> str:
    node = find(parse(text), document, parse_path(path))
    assert node is not None
    return text[node.start : node.end]


@pytest.mark.parametrize(
    ("text", "path", "written"),
    [
        ("a: 1\nb: two # c\n", "b", "two"),
        ("a: 1\r\nb: two\r\n", "b", "two"),
        ("\ufeffa: 1\nb: two\n", "b", "two"),
        ("\ufeffa: 1\r\n# ü\r\nb: 'two'\r\n", "b", "'two'"),
        ('ä: ö\n😀: {b: "tw\\"o", c: d}\n', "😀.b", '"tw\\"o"'),
        ("a: 1\rb: two\r", "b", "two"),
        ("a:\u2028 x\nb: two", "b", "two"),
        ("# only\n---\n# a\na:\n- b: [x, {c: 'é''é'}]\n", "a[0].b[1].c", "'é''é'"),
        ("a: !!str 1.10 # x\n", "a", "!!str 1.10"),
        ("a: |\n  block\n\nb: c\n", "b", "c"),
        ("a:\n  plain over\n  two lines\nb: c", "a", "plain over\n  two lines"),
    ],
)
def test_a_span_is_the_text_of_its_value(text: str, path: str, written: str) -> None:
    assert span(text, path) == written


def test_documents_are_counted_as_they_stand() -> None:
    text = "\ufeff---\na: 1\n...\n---\n---\nb: ü\n--- x\n"
    parsed = parse(text)
    assert [type(document).__name__ for document in parsed.documents] == ["Mapping", "NoneType", "Mapping", "Scalar"]
    assert span(text, "b", 2) == "ü"
    assert [text[end : end + 3] for end in parsed.ends] == ["...", "---", "---", ""]


def test_lines_and_columns_count_from_one() -> None:
    node = find(parse("a:\n  - b: x\n"), 0, ("a", 0, "b"))
    assert isinstance(node, Scalar)
    assert (node.line, node.column) == (2, 8)


def test_walk_gives_every_value_in_order() -> None:
    root = parse("a: {b: 1}\nc: [2, {d: 3}]\n").documents[0]
    found = [(path_text(path), node.value) for path, node in walk(root) if isinstance(node, Scalar)]
    assert found == [("a.b", "1"), ("c[0]", "2"), ("c[1].d", "3")]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a.b[1].c", ("a", "b", 1, "c")),
        ("a.1.b", ("a", "1", "b")),
        ('a."b.c".d', ("a", "b.c", "d")),
        ("a['b.c'][0]", ("a", "b.c", 0)),
        ('a["b\\"c"]', ("a", 'b"c')),
        ("a\\.b.c", ("a.b", "c")),
        ("[0].image", (0, "image")),
        ("metadata.annotations.app/name", ("metadata", "annotations", "app/name")),
    ],
)
def test_a_path_is_read(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_path(text) == path
    assert parse_path(path_text(path)) == path


@pytest.mark.parametrize("text", ["", ".a", "a.", "a..b", "a[", "a[x]", "a.[0]", 'a"b"'])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_path(text)


def test_a_number_is_an_index_in_a_list_and_a_key_in_a_map() -> None:
    assert span("a: [x, y]\n", "a.1") == "y"
    assert span("a: {1: z}\n", "a.1") == "z"
    assert find(parse("a: [x]\n"), 0, ("a", 3)) is None


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("a: &x 1\nb: *x\n", "b", "f.yaml:2:4: b is the alias \\*x"),
        ("a: &x 1\nb: *x\n", "a", "f.yaml:1:4: a has the anchor &x"),
        ("a: &x {c: 1}\nb: *x\n", "a.c", "a has the anchor &x"),
        ("a: &x {c: 1}\nb: *x\n", "b.c", "b is the alias"),
        ("a: 1\na: 2\n", "a", "f.yaml:2:1: the key a is written twice \\(first at line 1\\)"),
        ("a: {b: 1, b: 2}\n", "a.b", "f.yaml:1:11: the key a.b is written twice"),
        ("b: 1\na: {{ .Values.x }}\n", "b", "f.yaml:2:4: this is a Go template"),
    ],
)
def test_what_cannot_be_edited_without_guessing_is_refused(text: str, path: str, says: str) -> None:
    with pytest.raises(EditError, match=says):
        find(parse(text, "f.yaml"), 0, parse_path(path))


def test_what_is_refused_at_one_place_is_no_reason_at_another() -> None:
    text = "a: &x 1\nb: *x\nc: 1\nc: 2\nd: &unused {e: ok}\nf: '{{ x }}'\n"
    assert span(text, "d.e") == "ok"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [\n", "f.yaml:2:1: not YAML"),
        ("a: b: c\n", "f.yaml:1:5: not YAML"),
        ("a:\n\tb: c\n", "not YAML"),
        ("a: \x01\n", "f.yaml is not a YAML file"),
        ("a: \ud800\n", "f.yaml is not a YAML file"),
        ("a: 1\n{{- if x }}\nb: 2\n{{- end }}\n", "f.yaml:2:1: this is a Go template"),
    ],
)
def test_what_is_not_yaml_says_where(text: str, says: str) -> None:
    with pytest.raises(EditError, match=says):
        parse(text, "f.yaml")


def test_size_depth_and_aliases_have_bounds() -> None:
    with pytest.raises(EditError, match="larger than 10 MiB"):
        parse("a" * (10 * 1024 * 1024 + 1))
    with pytest.raises(EditError, match="nested more than 100 levels"):
        parse("[" * 100_000)
    with pytest.raises(EditError, match="nested more than 100 levels"):
        parse("".join(" " * n + "a:\n" for n in range(500)))
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    with pytest.raises(EditError, match="more than 1,000,000 values"):
        parse(bomb)


def test_shapes_of_nodes() -> None:
    root = parse("a: [1]\nb:\n- 1\n").documents[0]
    assert isinstance(root, Mapping)
    flow, block = root.get("a"), root.get("b")
    assert isinstance(flow, Sequence)
    assert isinstance(block, Sequence)
    assert (flow.flow, block.flow) == (True, False)


@pytest.mark.parametrize(
    "value",
    [
        "1.10", "12e4567", "yes", "123456", "0123", "0x1F", "0o17", "1e3", "true", "NULL", "~", "2024-01-01", "12:30",
        "1_000", "1,000", ".5", "5.", "+1", "-1", ".inf", "-.INF", ".NaN", "", "n", "Off", "=", "<<", "- a", "a: b",
        "a #b", " a", "a ", "@a", "*a", "&a", "!a", "%a", "'a", '"a', "a:", "---", "2024-1-1", "2001-12-14 21:59:43",
        "1:20:30.5", "+_8", "_", "0b101", "[a", "{a",
    ],
)  # fmt: skip
def test_what_a_reader_could_mistake_is_quoted(value: str) -> None:
    assert needs_quotes(value)
    assert yaml.safe_load(write_string(value)[0]) == value


@pytest.mark.parametrize(
    "value",
    ["v1", "1.2.3", "1.2.3-rc.1", "latest", "sha256:abc", "registry:5000/a/b", "2024-01-01-a1b2c3", "main-7", "a1b2c3d",
     "yesterday", "0xyz", "1e", "e3", "v1:2", "a#b"],
)  # fmt: skip
def test_what_is_plainly_a_string_is_not(value: str) -> None:
    assert kind_of(value) == "str"
    assert write_string(value) == (value, "")


@given(st.text(max_size=20), st.sampled_from(["", "'", '"']), st.booleans())
def test_every_string_is_read_back_as_it_was(value: str, style: str, flow: bool) -> None:
    written, got = write_string(value, style, flow=flow)
    text = f"{{a: {written}, b: c}}" if flow else f"a: {written}\nb: c\n"
    assert yaml.load(text, yaml.CSafeLoader) == {"a": value, "b": "c"}
    assert got == ("" if written[:1] not in ("'", '"') else written[0])
