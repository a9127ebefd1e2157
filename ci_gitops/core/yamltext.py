"""YAML as text with places: each value of a file with the span of characters in which it is written.

Edits replace spans and leave the rest of the text alone, so what is needed from a parser is not data but
positions. They come from the events of PyYAML's C parser: characters counted from the start of the text, a
leading byte order mark not counted. Anchors and aliases stay what they are; nothing is expanded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from ci_gitops.core.text import did_you_mean
from ci_gitops.errors import EditError, UsageError

MAX_CHARACTERS = 10 * 1024 * 1024
MAX_DEPTH = 100
MAX_NODES = 1_000_000  # also what aliases may expand to
BOM = "\ufeff"

Path = tuple[str | int, ...]


class UnreadableError(EditError):
    """The file is no YAML that we can edit, wherever the place would be: broken, a template, too large."""


@dataclass(slots=True, eq=False)
class Scalar:
    value: str
    style: str  # "" plain, "'", '"', "|", ">"
    start: int  # of the anchor or tag before it, if there is one
    end: int
    line: int  # line and column are counted from 1
    column: int
    anchor: str | None = None
    tag: str | None = None


@dataclass(slots=True, eq=False)
class Alias:
    anchor: str  # what it stands for
    start: int
    end: int
    line: int
    column: int


@dataclass(slots=True, eq=False)
class Sequence:
    flow: bool
    start: int
    end: int
    line: int
    column: int
    anchor: str | None = None
    tag: str | None = None
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Mapping:
    flow: bool
    start: int
    end: int
    line: int
    column: int
    anchor: str | None = None
    tag: str | None = None
    entries: list[tuple[Node, Node]] = field(default_factory=list)

    def keys(self) -> list[str]:
        return [key.value for key, _ in self.entries if isinstance(key, Scalar)]

    def get(self, name: str) -> Node | None:
        """The value of a key; of the last one where the key is written twice, as most readers do."""
        found = None
        for key, value in self.entries:
            if isinstance(key, Scalar) and key.value == name:
                found = value
        return found

    def text(self, name: str) -> str | None:
        """The value of a key where it is a scalar that is not null."""
        value = self.get(name)
        return value.value if isinstance(value, Scalar) and not is_null(value) else None

    @property
    def merges(self) -> bool:
        """It takes keys from elsewhere by `<<`."""
        return "<<" in self.keys()


Node = Scalar | Alias | Sequence | Mapping


@dataclass(frozen=True, slots=True)
class YamlText:
    """A parsed file: its documents (None where one is empty) and whether it is a Go template."""

    text: str
    path: str
    documents: tuple[Node | None, ...]
    ends: tuple[int, ...]  # where each document ends: at its `...`, the next `---`, or the end of the text
    template: tuple[int, int] | None = None  # line and column of the first {{ that is no string
    aliased: frozenset[str] = frozenset()  # the anchors that an alias uses


def is_null(node: Scalar) -> bool:
    return (
        node.style == ""
        and node.value in ("", "~", "null", "Null", "NULL")
        and node.tag in (None, "tag:yaml.org,2002:null")
    )


def parse(text: str, path: str = "<text>") -> YamlText:
    """Parse all documents of `text`. Raises UnreadableError naming line and column where it is not YAML."""
    if len(text) > MAX_CHARACTERS:
        raise UnreadableError(f"{path} is larger than {MAX_CHARACTERS // 1024 // 1024} MiB; such a file is not edited.")
    try:
        return _Composer(text, path).compose()
    except yaml.MarkedYAMLError as error:
        _not_yaml(text, path, error)
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        problem = str(error).splitlines()[0]
        raise UnreadableError(f"{path} is not a YAML file: {problem}.") from error


def _not_yaml(text: str, path: str, error: yaml.MarkedYAMLError) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    action = re.search(r"\{\{", text)
    if action:
        at = text.count("\n", 0, action.start()) + 1
        where = action.start() - text.rfind("\n", 0, action.start())
        raise UnreadableError(
            f"{path}:{at}:{where}: this is a Go template, not YAML (it does not parse at line {line}).",
            hint="Edit the values that the template is rendered with, not the template.",
        ) from error
    raise UnreadableError(f"{path}:{line}:{column}: not YAML: {error.problem or error.context}.") from error


class _Composer:
    """Makes nodes of the parser's events, on a stack of its own: deep nesting is an error, not a crash."""

    def __init__(self, text: str, path: str) -> None:
        self.text, self.path = text, path
        self.shift = 1 if text.startswith(BOM) else 0
        self.documents: list[Node | None] = []
        self.ends: list[int] = []
        self.template: tuple[int, int] | None = None
        self.aliased: set[str] = set()
        self.anchors: set[str] = set()  # of the document
        self.weights: dict[str, int] = {}  # anchor -> nodes that it stands for
        self.weight = 0

    def compose(self) -> YamlText:
        parser = yaml.CLoader(self.text)
        try:
            while True:
                event = parser.get_event()
                if isinstance(event, yaml.StreamEndEvent):
                    break
                if isinstance(event, yaml.DocumentStartEvent):
                    self.document(parser)
        finally:
            parser.dispose()
        if not self.documents:  # nothing but comments: one empty document
            self.documents, self.ends = [None], [len(self.text)]
        return YamlText(
            self.text, self.path, tuple(self.documents), tuple(self.ends), self.template, frozenset(self.aliased)
        )

    def document(self, parser: Any) -> None:
        self.anchors.clear()
        self.weights.clear()
        self.weight = 0
        root: Node | None = None
        open_nodes: list[tuple[Mapping | Sequence, int]] = []  # with the weight at its start
        keys: list[Node | None] = []  # the key that waits for its value, for each open node
        while True:
            event = parser.get_event()
            kind = type(event)
            if kind is yaml.DocumentEndEvent:
                break
            if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                node, before = open_nodes.pop()
                keys.pop()
                node.end = event.end_mark.index + self.shift
                if node.anchor:
                    self.weights[node.anchor] = self.weight - before
                continue
            made = self.node(event, kind)
            if not open_nodes:
                root = made
            else:
                _put(open_nodes[-1][0], keys, made)
            if isinstance(made, Mapping | Sequence):
                open_nodes.append((made, self.weight - 1))
                keys.append(None)
                if len(open_nodes) > MAX_DEPTH:
                    raise UnreadableError(f"{self.path}:{made.line}: nested more than {MAX_DEPTH} levels deep.")
        empty = isinstance(root, Scalar) and root.start == root.end
        self.documents.append(None if empty else root)
        self.ends.append(event.start_mark.index + self.shift)

    def node(self, event: Any, kind: type) -> Node:
        start = event.start_mark
        place = (start.index + self.shift, event.end_mark.index + self.shift, start.line + 1, start.column + 1)
        self.weight += 1
        if self.weight > MAX_NODES:
            self.too_many(place[2])
        if event.anchor and kind is not yaml.AliasEvent:
            self.anchors.add(event.anchor)
            self.weights[event.anchor] = 1
        if kind is yaml.ScalarEvent:
            return Scalar(event.value, event.style or "", *place, event.anchor, event.tag)
        if kind is yaml.AliasEvent:
            if event.anchor not in self.anchors:
                raise UnreadableError(
                    f"{self.path}:{place[2]}:{place[3]}: not YAML: there is no anchor &{event.anchor}."
                )
            self.aliased.add(event.anchor)
            self.weight += self.weights[event.anchor] - 1
            return Alias(event.anchor, *place)
        flow = bool(event.flow_style)
        if kind is yaml.SequenceStartEvent:
            return Sequence(flow, *place, event.anchor, event.tag)
        if flow and self.template is None and self.text.startswith("{{", place[0]):
            self.template = place[2:]
        return Mapping(flow, *place, event.anchor, event.tag)

    def too_many(self, line: int) -> NoReturn:
        raise UnreadableError(
            f"{self.path}:{line}: more than {MAX_NODES:,} values, aliases counted as what they stand for.",
            hint="Such a file makes its readers run out of memory; it is not edited.",
        )


def _put(parent: Mapping | Sequence, keys: list[Node | None], node: Node) -> None:
    if isinstance(parent, Sequence):
        parent.items.append(node)
        return
    key = keys[-1]
    if key is None:
        keys[-1] = node
    else:
        parent.entries.append((key, node))
        keys[-1] = None


def same(one: Node | None, other: Node | None) -> bool:
    """Both say the same in the same way: values, quotes, tags, anchors; only places may differ."""
    if isinstance(one, Scalar) and isinstance(other, Scalar):
        return (one.value, one.style, one.anchor, one.tag) == (other.value, other.style, other.anchor, other.tag)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return (
            (one.anchor, one.tag, len(one.entries)) == (other.anchor, other.tag, len(other.entries))
            and all(same(a[0], b[0]) and same(a[1], b[1]) for a, b in zip(one.entries, other.entries, strict=True))
        )  # fmt: skip
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return (
            (one.anchor, one.tag, len(one.items)) == (other.anchor, other.tag, len(other.items))
            and all(same(a, b) for a, b in zip(one.items, other.items, strict=True))
        )  # fmt: skip
    if isinstance(one, Alias) and isinstance(other, Alias):
        return one.anchor == other.anchor
    return one is None and other is None


def walk(node: Node | None, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Each value of a document with its path, in the order of the file; the root first."""
    if node is None:
        return
    yield path, node
    if isinstance(node, Mapping):
        for key, value in node.entries:
            if isinstance(key, Scalar):
                yield from walk(value, (*path, key.value))
    elif isinstance(node, Sequence):
        for number, item in enumerate(node.items):
            yield from walk(item, (*path, number))


_SEGMENT = re.compile(
    r"""\[(?P<index>\d+)\]
      | \["(?P<quoted>(?:[^"\\]|\\.)*)"\] | \['(?P<single>[^']*)'\]
      | (?P<dot>\.?) (?: "(?P<name_quoted>(?:[^"\\]|\\.)*)" | (?P<name>(?:[^.\[\]"\\]|\\.)+) )""",
    re.VERBOSE,
)


def parse_path(text: str) -> Path:
    """`a.b[1].c`, `a.1.b`, `a."b.c"[0]`, `a['b.c']` or `a.b\\.c` as a path.

    `[1]` is a list index; a bare `1` is one where a list stands there, else a key.
    """
    path: list[str | int] = []
    position = 0
    while position < len(text):
        match = _SEGMENT.match(text, position)
        if not match or (match["dot"] is not None and (match["dot"] == ".") != (position > 0)):
            raise UsageError(
                f"{text!r} is not a path to a value.", hint='Write it as a.b[1].c; a key with a dot as a."b.c".'
            )
        if match["index"] is not None:
            path.append(int(match["index"]))
        elif match["single"] is not None:
            path.append(match["single"])
        else:
            written = next(part for part in match.group("quoted", "name_quoted", "name") if part is not None)
            path.append(re.sub(r"\\(.)", r"\1", written))
        position = match.end()
    if not path:
        raise UsageError("An empty path to a value.", hint="Write it as a.b[1].c.")
    return tuple(path)


def path_text(path: Path) -> str:
    """A path as people write it: `images[0].newTag`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part and not re.search(r"[.\[\]\"'\\]", part)
            name = part if plain else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
            text += f".{name}" if text else name
    return text


def trail(yaml_text: YamlText, document: int, path: Path) -> list[Node]:
    """The nodes on the way to a value that is to be edited, from the root as far as the path leads.

    It leads to the end where there is one node more than the path has parts. Refuses (EditError with line
    and column) what cannot be edited without guessing: a key that is written twice, an alias on the way, an
    anchor that is used elsewhere, a Go template.
    """
    if yaml_text.template:
        line, column = yaml_text.template
        raise UnreadableError(
            f"{yaml_text.path}:{line}:{column}: this is a Go template; it is not edited.",
            hint="Edit the values that the template is rendered with.",
        )
    nodes: list[Node] = []
    node: Node | None = yaml_text.documents[document]
    for depth in range(len(path) + 1):
        if node is None:
            break
        _editable(yaml_text, node, path[:depth])
        nodes.append(node)
        if depth < len(path):
            node = _child(yaml_text.path, node, path[: depth + 1])
    return nodes


def find(yaml_text: YamlText, document: int, path: Path) -> Node | None:
    """The value at a path, as it may be edited (see `trail`); None where it is not there."""
    nodes = trail(yaml_text, document, path)
    return nodes[-1] if len(nodes) == len(path) + 1 else None


def _child(file: str, node: Node, path: Path) -> Node | None:
    part = path[-1]
    if isinstance(node, Mapping) and isinstance(part, str):
        return _value(file, node, part, path)
    if isinstance(node, Sequence):
        return _item(node, part)
    return None


def _editable(yaml_text: YamlText, node: Node, path: Path) -> None:
    if isinstance(node, Alias):
        raise EditError(
            f"{_place(yaml_text, node, path)} is the alias *{node.anchor}; an edit there would change every place that"
            " it stands for.",
            hint="Write the value out at this place, then try again.",
        )
    if node.anchor and (isinstance(node, Scalar) or node.anchor in yaml_text.aliased):
        raise EditError(
            f"{_place(yaml_text, node, path)} has the anchor &{node.anchor}; an edit there would change every"
            f" *{node.anchor} with it.",
            hint="Write the values out where the alias is used, then try again.",
        )


def _place(yaml_text: YamlText, node: Node, path: Path) -> str:
    return f"{yaml_text.path}:{node.line}:{node.column}: {path_text(path) or 'the document'}"


def _value(file: str, mapping: Mapping, name: str, path: Path) -> Node | None:
    found: list[tuple[Node, Node]] = [
        (key, value) for key, value in mapping.entries if isinstance(key, Scalar) and key.value == name
    ]
    if len(found) > 1:
        key = found[1][0]
        raise EditError(
            f"{file}:{key.line}:{key.column}: the key {path_text(path)} is written twice (first at line "
            f"{found[0][0].line}); readers differ in which one counts.",
            hint="Remove one of the two, then try again.",
        )
    return found[0][1] if found else None


def _item(sequence: Sequence, part: str | int) -> Node | None:
    if isinstance(part, str):
        if not (part.isascii() and part.isdigit()):
            return None
        part = int(part)
    return sequence.items[part] if part < len(sequence.items) else None


def near_key(node: Node | None, name: str | int) -> str | None:
    """A hint with the keys that are there, for a path that leads nowhere."""
    if isinstance(node, Mapping):
        return did_you_mean(str(name), node.keys(), "Keys there")
    if isinstance(node, Sequence):
        return f"The list there has {len(node.items)} items, counted from 0."
    return None
