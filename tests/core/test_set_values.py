"""`set KEY=VALUE`: any scalar, by its place in the text; the type that it had stays."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.edits.keys import parse_assignment
from ci_gitops.core.edits.scalars import set_values
from ci_gitops.errors import EditError, UsageError

VALUES = """\
# the web shop
replicas: 2   # two are enough
image: {repository: nginx, tag: "1.26"}
debug: false
ratio: 0.5
name: 'shop'
empty:
hosts:
- name: a.example.com
  port: 80
-   name: b.example.com
    port: 81
annotations:
  app.kubernetes.io/name: shop
  "quoted key": x
"""


def changed_lines(old: str, new: str) -> list[tuple[str, str]]:
    pairs = zip(old.splitlines(keepends=True), new.splitlines(keepends=True), strict=True)
    return [(before, after) for before, after in pairs if before != after]


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("replicas", "3", "replicas: 3   # two are enough\n"),
        ("image.tag", "1.27", 'image: {repository: nginx, tag: "1.27"}\n'),
        ("image.repository", "httpd", 'image: {repository: httpd, tag: "1.26"}\n'),
        ("debug", "true", "debug: true\n"),
        ("ratio", "0.75", "ratio: 0.75\n"),
        ("name", "it's", "name: 'it''s'\n"),
        ("hosts[1].port", "8081", "    port: 8081\n"),
        ("hosts.1.port", "8081", "    port: 8081\n"),
        ("hosts[name=b.example.com].port", "8081", "    port: 8081\n"),
        ("hosts[0].name", "c.example.com", "- name: c.example.com\n"),
        (r"annotations.app\.kubernetes\.io/name", "web", "  app.kubernetes.io/name: web\n"),
        ("annotations.app.kubernetes.io/name", "web", "  app.kubernetes.io/name: web\n"),
        ("annotations.quoted key", "z", '  "quoted key": z\n'),
    ],
)
def test_one_scalar_changes_and_nothing_else(key: str, value: str, line: str) -> None:
    edit = set_values(VALUES, [(key, value)], path="values.yaml")
    assert [after for _, after in changed_lines(VALUES, edit.new)] == [line]
    assert len(edit.changes) == 1
    assert edit.changes[0].new == value


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("a: text", "1.10", 'a: "1.10"'),
        ("a: text", "12e4567", 'a: "12e4567"'),
        ("a: text", "yes", 'a: "yes"'),
        ("a: text", "12345678", 'a: "12345678"'),
        ("a: text", "null", 'a: "null"'),
        ("a: text", "", 'a: ""'),
        ("a: text", "2026-11-21", 'a: "2026-11-21"'),
        ("a: text", "a: b", 'a: "a: b"'),
        ("a: text", "x # y", 'a: "x # y"'),
        ('a: "1"', "2", 'a: "2"'),
        ("a: '1'", "2", "a: '2'"),
        ("a: 1", "2", "a: 2"),
        ("a: 1", "-7", "a: -7"),
        ("a: 1", "0.25", "a: 0.25"),
        ("a: true", "false", "a: false"),
        ("a: yes", "no", "a: no"),
        ("a: 3", "null", "a: null"),
        ("a: 0400", "0440", "a: 0440"),
        ("a: 0o400", "0o440", "a: 0o440"),
        # A number or boolean stays plain only where each reader sees what was written.
        ("a: 1.9", "1.10", 'a: "1.10"'),
        ("a: 1", "007", 'a: "007"'),
        ("a: 1", "1_000", 'a: "1_000"'),
        ("a: 1", "off", 'a: "off"'),
        ("a: 1", "12:30", 'a: "12:30"'),
        ("a: 1", "text", "a: text"),
        ("a:", "text", "a: text"),
        ("a:", "1.10", 'a: "1.10"'),
        ("a: ~", "text", "a: text"),
    ],
)
def test_the_type_stays(old: str, value: str, new: str) -> None:
    edit = set_values(old + "\n", [("a", value)], path="f.yaml")
    assert edit.new == new + "\n"


def test_a_changed_type_is_said() -> None:
    edit = set_values("a: 1.9\n", [("a", "1.10")], path="f.yaml")
    assert any("1.10" in note and "string" in note for note in edit.notes)


def test_the_same_value_changes_nothing() -> None:
    edit = set_values(VALUES, [("replicas", "2"), ("image.tag", "1.26"), ("debug", "false")], path="f.yaml")
    assert not edit.changed
    assert edit.new == VALUES
    assert edit.changes == ()


def test_several_in_one_call() -> None:
    edit = set_values(VALUES, [("replicas", "3"), ("hosts[0].port", "8080"), ("name", "x")], path="f.yaml")
    assert yaml.safe_load(edit.new) == {
        **yaml.safe_load(VALUES),
        "replicas": 3,
        "name": "x",
        "hosts": [{"name": "a.example.com", "port": 8080}, {"name": "b.example.com", "port": 81}],
    }
    assert [change.field for change in edit.changes] == ["replicas", "hosts[0].port", "name"]
    assert [change.line for change in edit.changes] == [2, 10, 6]


def test_the_same_key_with_two_values_is_refused() -> None:
    with pytest.raises(UsageError, match="replicas"):
        set_values(VALUES, [("replicas", "3"), ("replicas", "4")], path="f.yaml")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_bytes_around_stay(newline: str, bom: str) -> None:
    text = bom + "größe: 1\n# Ж\nb:   x  # ü\nc: |\n  a: 1\n   ".replace("\n", newline)
    edit = set_values(text, [("b", "z"), ("größe", "2")], path="f.yaml")
    assert edit.new == text.replace("b:   x", "b:   z").replace("größe: 1", "größe: 2")


class TestDocuments:
    TWO = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: None}\n---\n"
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n"
    )

    def test_the_document_that_has_the_key(self) -> None:
        edit = set_values(self.TWO, [("spec.replicas", "3")], path="all.yaml")
        assert edit.new == self.TWO.replace("replicas: 1", "replicas: 3")

    def test_ambiguous(self) -> None:
        with pytest.raises(EditError, match=r"(?s)all.yaml.*metadata.name.*2 documents") as caught:
            set_values(self.TWO, [("metadata.name", "shop")], path="all.yaml")
        assert "Service/web" in caught.value.message
        assert "Deployment/web" in caught.value.message
        assert "--document" in (caught.value.hint or "")

    @pytest.mark.parametrize("document", ["Deployment/web", "deployment/web", "2", "Deployment"])
    def test_chosen(self, document: str) -> None:
        edit = set_values(self.TWO, [("metadata.name", "shop")], path="all.yaml", document=document)
        head, _, tail = edit.new.partition("---")
        assert "name: web" in head
        assert "name: shop" in tail

    def test_no_such_document(self) -> None:
        with pytest.raises(EditError, match="Deploymant") as caught:
            set_values(self.TWO, [("metadata.name", "x")], path="all.yaml", document="Deploymant/web")
        assert "Deployment/web" in (caught.value.hint or "")


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "key", "words"),
        [
            ("a: 1\n", "b", r"no key 'b'"),
            ("image: {tag: v1}\n", "image.tga", r"no key 'image.tga'"),
            ("a: [1, 2]\n", "a[2]", r"'a' has 2 items"),
            ("a: [1, 2]\n", "a.b", r"'a' is a list"),
            ("a: x\n", "a.b", r"'a' is a scalar"),
            ("a: {b: 1}\n", "a", r"file.yaml:1:4: a is a map"),
            ("a: [1]\n", "a", r"file.yaml:1:4: a is a list"),
            ("a: [{name: x, v: 1}]\n", "a[name=y].v", r"name=y"),
            ("a: |\n  text\n", "a", r"file.yaml:1:4: a is a block"),
            ("a: >-\n  text\n", "a", r"file.yaml:1:4: a is a block"),
            ("x: &x 1\na: *x\n", "a", r"file.yaml:2:4: a is the alias"),
            ("a: &x 1\nb: *x\n", "a", r"file.yaml:1:4: a has the anchor"),
            ("x: &x {b: 1}\na: *x\n", "a.b", r"alias"),
            ("x: &x {b: 1}\na:\n  <<: *x\n  c: 1\n", "a.b", r"merge"),
            ("a: 1\na: 2\n", "a", r"(?i)twice|double|duplicate"),
            ("a: {{ .Values.x }}\nb: 1\n", "b", r"(?i)templat"),
            ("{{- if .Values.x }}\na: 1\n{{- end }}\n", "a", r"(?i)templat"),
            ("a: [1\n", "a", r"file.yaml:2:1: not YAML"),
            ("a: 1\nb: ENC[AES256_GCM,data:x]\nsops:\n  mac: ENC[x]\n", "a", r"(?i)sops"),
            ("", "a", r"empty"),
            ("just text\n", "a", r"'a'"),
        ],
    )
    def test_with_a_clear_message(self, text: str, key: str, words: str) -> None:
        with pytest.raises(EditError, match=words) as caught:
            set_values(text, [(key, "9")], path="some/file.yaml")
        assert "some/file.yaml" in caught.value.message
        assert caught.value.hint or "not YAML" in caught.value.message

    def test_what_is_below_a_map_or_list_is_offered(self) -> None:
        with pytest.raises(EditError) as caught:
            set_values(VALUES, [("image", "nginx:1.27")], path="values.yaml")
        assert caught.value.hint == "Its values: 'image.repository', 'image.tag'."
        with pytest.raises(EditError) as caught:
            set_values("a: []\n", [("a", "x")], path="values.yaml")
        assert "by hand" in (caught.value.hint or "")

    def test_near_matches(self) -> None:
        with pytest.raises(EditError) as caught:
            set_values(VALUES, [("image.tga", "1")], path="values.yaml")
        assert "'image.tag'" in (caught.value.hint or "")

    def test_a_key_that_is_elsewhere(self) -> None:
        """People forget the head of a path: the full one is offered."""
        with pytest.raises(EditError) as caught:
            set_values("web:\n  image:\n    tag: a\n", [("image.tag", "b")], path="values.yaml")
        assert "'web.image.tag'" in (caught.value.hint or "")

    def test_a_double_key_elsewhere_is_no_reason(self) -> None:
        assert set_values("a: 1\nx: {b: 1, b: 2}\n", [("a", "2")], path="f").new == "a: 2\nx: {b: 1, b: 2}\n"

    def test_a_template_in_another_value_is_no_reason(self) -> None:
        text = "a: 1\nb: '{{ .x }}'\n"
        assert set_values(text, [("a", "2")], path="f").new == "a: 2\nb: '{{ .x }}'\n"

    def test_two_readings_of_a_dotted_key(self) -> None:
        """The path as it is written comes first; between two others a person must say which."""
        text = "a.b: 1\na: {b: 2}\n"
        assert set_values(text, [("a.b", "3")], path="f.yaml").new == "a.b: 1\na: {b: 3}\n"
        assert set_values(text, [('"a.b"', "3")], path="f.yaml").new == "a.b: 3\na: {b: 2}\n"
        with pytest.raises(EditError, match="means 2 values") as caught:
            set_values("a.b: {c: 1}\na: {b.c: 2}\n", [("a.b.c", "3")], path="f.yaml")
        assert """'a."b.c"' or '"a.b".c'""" in (caught.value.hint or "")


class TestAssignments:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a=b", ("a", "b")),
            ("a.b[0].c=", ("a.b[0].c", "")),
            ("a=b=c", ("a", "b=c")),
            ("env[name=LEVEL].value=debug=1", ("env[name=LEVEL].value", "debug=1")),
        ],
    )
    def test_parse(self, text: str, expected: tuple[str, str]) -> None:
        assert parse_assignment(text) == expected

    @pytest.mark.parametrize("text", ["a", "=b", "", "a..b=1", "a[=1", "a[x]=1", "a]=1", ".a=1", "a.=1"])
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(UsageError, match=r"KEY=VALUE|key|path"):
            set_values("a: 1\n", [parse_assignment(text)], path="f")


PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=12).filter(
    lambda text: "{{" not in text
)


@given(value=PLAIN, style=st.sampled_from(["a: old", "a: 'old'", 'a: "old"', "{a: old, b: 1}", "- [x, {a: old}]"]))
def test_any_text_comes_back_as_that_string(value: str, style: str) -> None:
    """Whatever a person sets where a string was, every reader gets that string."""
    key = "[0][1].a" if style.startswith("-") else "a"
    edit = set_values(f"{style}  # note\n", [(key, value)], path="f.yaml")
    document = yaml.safe_load(edit.new)
    found = document[0][1]["a"] if style.startswith("-") else document["a"]
    assert found == value
    assert edit.new.endswith("  # note\n")
    assert set_values(edit.new, [(key, "old")], path="f.yaml").new.replace("'", "").replace('"', "") == (
        f"{style}  # note\n".replace("'", "").replace('"', "")
    )
