"""A file while it is edited: each step replaces or inserts a span of text and is checked by parsing again.

The parsed nodes are changed as the step intends, the text is changed at their places, and the new text must
parse to exactly the changed nodes. So a wrong span can spoil nothing: it is an error, never a written file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Items

from ci_gitops.core import yamltext
from ci_gitops.core.edits.new_nodes import (
    is_json_map,
    new_mapping,
    new_scalar,
    new_sequence,
    write_flow,
    write_item,
    written,
)
from ci_gitops.core.edits.records import Change, Edit
from ci_gitops.core.yamlscalar import kind_of, write_string
from ci_gitops.core.yamltext import Mapping, Node, Path, Scalar, Sequence, YamlText, path_text
from ci_gitops.errors import EditError

_LINE_END = re.compile(r"\r\n|\n|\r")
_PREFIX = re.compile(r"(?:[!&]\S*(?:\s+|$))*")
_FLOW_REST = re.compile(r"(?P<comma>[ \t]*,)?[ \t]*(?:#[^\r\n]*)?(?:\r\n|\n|\r)")
_SPACE = re.compile(r"\s*")

Splice = tuple[int, int, str]  # from, to, replacement


class Draft:
    """The edits of one text, one after the other; `edit()` is what came out."""

    def __init__(self, text: str, path: str = "<text>") -> None:
        self.path = path
        self.original = text
        self.newline = match[0] if (match := _LINE_END.search(text)) else "\n"
        # With a line end after the last line, every line can be treated alike; `edit` takes it off again.
        self.padded = bool(text) and not text.endswith(("\n", "\r"))
        self.parsed: YamlText = yamltext.parse(text + self.newline if self.padded else text, path)
        # A block of text that ends with the file, and not with a line end, would get one from any line after it.
        block = _last_block(self.parsed.documents[-1]) if self.padded else None
        self._open = block is not None and "-" not in self.parsed.text[block.start :].split("\n", 1)[0]
        self.changes: list[Change] = []
        self.notes: list[str] = []
        self._splices: list[Splice] = []

    @property
    def documents(self) -> tuple[Node | None, ...]:
        return self.parsed.documents

    def find(self, document: int, path: Path) -> Node | None:
        """The node at a path, refused where it cannot be edited safely (see `yamltext.trail`)."""
        return yamltext.find(self.parsed, document, path)

    def edit(self) -> Edit:
        self._flush()
        new = self.parsed.text
        if self.padded:
            new = new.removesuffix(self.newline)
        return Edit(self.path, self.original, new, tuple(self.changes), tuple(dict.fromkeys(self.notes)))

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    # --- values -------------------------------------------------------------------------------------

    def set(self, document: int, path: Path, value: str, *, plain: bool = False) -> bool:
        """Give the scalar at `path` another value, in the quotes that it has; whether that changed anything.

        It is written as a string, quoted where a reader could take it for anything else; with `plain` as
        it stands, so that a number stays a number.
        """
        nodes = yamltext.trail(self.parsed, document, path)
        node = nodes[-1] if len(nodes) == len(path) + 1 else None
        if node is None:
            part = path[len(nodes) - 1] if nodes else path[0]
            if nodes and isinstance(nodes[-1], Mapping) and nodes[-1].merges:
                raise self._merged(nodes[-1], path[: len(nodes) - 1], str(part))
            raise EditError(
                f"{self.path}: there is no value {path_text(path)} (nothing at {part!r}).",
                hint=yamltext.near_key(nodes[-1], part) if nodes else None,
            )
        scalar = self._replaceable(node, path)
        if scalar.value == value and (plain or scalar.style or scalar.tag or kind_of(value) == "str"):
            return False
        self._replace(scalar, nodes, path, value, plain)
        return True

    def _replaceable(self, node: Node, path: Path) -> Scalar:
        where = f"{self.path}:{node.line}:{node.column}: {path_text(path)}"
        if not isinstance(node, Scalar):
            raise EditError(f"{where} is a {'list' if isinstance(node, Sequence) else 'map'}, not a single value.")
        if node.style in "|>" and node.style:
            raise EditError(
                f"{where} is a block of text ({node.style}); only values on one line are edited.",
                hint="Write the value on the line of its key, then try again.",
            )
        if "{{" in node.value:
            raise EditError(f"{where} is a template ({node.value}); it is not edited.")
        return node

    def _replace(self, scalar: Scalar, nodes: Items[Node], path: Path, value: str, plain: bool) -> None:
        text = self.parsed.text
        prefix = _PREFIX.match(text, scalar.start, scalar.end)
        start = prefix.end() if prefix else scalar.start
        flow = any(isinstance(node, Mapping | Sequence) and node.flow for node in nodes)
        style = scalar.style or ('"' if flow and _is_json(nodes[-2], path[-1]) else "")
        source, style = (value, "") if plain else write_string(value, style, flow=flow)
        before = "" if start == 0 or text[start - 1] in " \t\n" else " "
        after = "" if scalar.end > start or text[start : start + 1] in ("", " ", "\t", "\r", "\n", ",") else " "
        self._splices.append((start, scalar.end, f"{before}{source}{after}" if start == scalar.end else source))
        old = None if yamltext.is_null(scalar) else scalar.value
        self.changes.append(Change(path_text(path), old, value, scalar.line))
        scalar.value, scalar.style = value, style

    # --- keys and items -----------------------------------------------------------------------------

    def insert_key(self, document: int, path: Path, value: str, *, after: str | None = None) -> None:
        """Add the key at the end of `path`, with a string, to the map before it: after the key `after`, else last."""
        self._flush()
        mapping = self.find(document, path[:-1])
        name = str(path[-1])
        if not isinstance(mapping, Mapping):
            raise EditError(f"{self.path}: {path_text(path[:-1])} is not a map, so {name!r} cannot be added to it.")
        if mapping.merges:
            raise self._merged(mapping, path[:-1], name)
        position = min(_after(mapping, after), self._last_position(mapping))
        json = mapping.flow and is_json_map(mapping)
        key, value_node = (
            new_scalar(name, '"' if json else ""),
            new_scalar(value, '"' if json else "", flow=mapping.flow),
        )
        entry = f"{written(key)}: {written(value_node)}"
        if mapping.flow:
            splices = self._into_flow(mapping, [_span(pair) for pair in mapping.entries], position, entry)
        else:
            indent = " " * (mapping.entries[0][0].column - 1)
            splices = [self._after_line(mapping.entries[position - 1][1], indent + entry)]
        mapping.entries.insert(position, (key, value_node))
        self._apply(*splices)
        self.changes.append(Change(path_text(path), None, value, self._line(splices[-1])))

    def _merged(self, mapping: Mapping, path: Path, name: str) -> EditError:
        return EditError(
            f"{self.path}:{mapping.line}:{mapping.column}: {path_text(path)} takes keys from elsewhere by <<, {name!r}"
            " perhaps among them.",
            hint=f"Write {name} out in this map, then try again.",
        )

    def append(self, document: int, path: Path, entries: Items[tuple[str, str]]) -> None:
        """Add a map to the list at `path`, written as the items before it; the list is made where there is none."""
        self._flush()
        node = self.find(document, path)
        if isinstance(node, Sequence) and node.items:
            splice, number = self._append_item(node, entries), len(node.items) - 1
        elif node is None or (isinstance(node, Scalar) and yamltext.is_null(node)) or isinstance(node, Sequence):
            splice, number = self._first_item(document, path, node, entries), 0
        else:
            raise EditError(f"{self.path}:{node.line}:{node.column}: {path_text(path)} is not a list.")
        for key, value in entries:
            self.changes.append(Change(path_text((*path, number, key)), None, value, self._line(splice)))

    def _append_item(self, sequence: Sequence, entries: Items[tuple[str, str]]) -> Splice:
        last = sequence.items[-1]
        if self._ends_open(last):
            raise self._unsafe([(last.start, last.end, "")], "the block of text at the end would get a line end")
        flow = sequence.flow or (isinstance(last, Mapping) and last.flow)
        json = isinstance(last, Mapping) and last.flow and is_json_map(last)
        item = new_mapping(entries, flow=flow, json=json)
        if sequence.flow:
            spans = [(node.start, node.end) for node in sequence.items]
            splices = self._into_flow(sequence, spans, len(spans), write_flow(item))
        else:
            dash = sequence.column - 1
            offset = last.column - 1 - dash if isinstance(last, Mapping) and last.line else 2
            splices = [self._after_line(last, write_item(item, dash, max(offset, 2), self.newline))]
        sequence.items.append(item)
        self._apply(*splices)
        return splices[-1]

    def _first_item(self, document: int, path: Path, node: Node | None, entries: Items[tuple[str, str]]) -> Splice:
        parent = self.find(document, path[:-1])
        name = str(path[-1])
        if parent is None and len(path) == 1:
            return self._only_key(document, name, entries)
        if not isinstance(parent, Mapping):
            raise EditError(f"{self.path}: {path_text(path[:-1]) or 'the document'} is not a map.")
        json = parent.flow and is_json_map(parent)
        item = new_mapping(entries, flow=parent.flow, json=json)
        made = new_sequence(item, flow=parent.flow)
        splices: list[Splice]
        if node is None:
            key = new_scalar(name, '"' if json else "")
            if parent.flow:
                spans = [_span(pair) for pair in parent.entries]
                splices = self._into_flow(parent, spans, len(spans), f"{written(key)}: [{write_flow(item)}]")
                parent.entries.append((key, made))
            else:
                lines = f"{' ' * (parent.column - 1)}{name}:{self.newline}{self._items(document, parent, item)}"
                last = self._last_position(parent)
                at_end = len(path) == 1 and last == len(parent.entries)
                splices = [
                    self._at_end(document, parent, lines)
                    if at_end
                    else self._after_line(parent.entries[last - 1][1], lines)
                ]
                parent.entries.insert(last, (key, made))
        else:
            splices = self._fill(document, parent, node, item)
            parent.entries = [(key, made if value is node else value) for key, value in parent.entries]
        self._apply(*splices)
        return splices[-1]

    def _fill(self, document: int, parent: Mapping, node: Node, item: Mapping) -> list[Splice]:
        """Give an empty list (`[]`, `null` or nothing) its first item."""
        if parent.flow:
            return [(node.start, node.end, f"[{write_flow(item)}]")]
        text = self.parsed.text
        start = len(text[: node.start].rstrip(" "))
        line_end = self._line_end(node.end)
        return [(start, node.end, ""), (line_end, line_end, self._items(document, parent, item) + self.newline)]

    def _only_key(self, document: int, name: str, entries: Items[tuple[str, str]]) -> Splice:
        """A document that is empty, or holds comments only, gets its first key."""
        item = new_mapping(entries, flow=False, json=False)
        end = self.parsed.ends[document]
        body = f"{name}:{self.newline}{write_item(item, 0, 2, self.newline)}{self.newline}"
        root = Mapping(False, 0, 0, 0, 0, entries=[(new_scalar(name, ""), new_sequence(item, flow=False))])
        documents = list(self.parsed.documents)
        documents[document] = root
        self._apply((end, end, body), documents=tuple(documents))
        return (end, end, body)

    def _items(self, document: int, parent: Mapping, item: Mapping) -> str:
        """A first item under a key of `parent`, indented as the other lists of the document are."""
        indents = [
            node.column - key.column
            for key, node in parent.entries
            if isinstance(node, Sequence) and not node.flow and node.items
        ]
        return write_item(item, parent.column - 1 + (indents[-1] if indents else 0), 2, self.newline)

    def remove_key(self, document: int, path: Path) -> None:
        """Take a key with its value, and the comment beside it, out of the map before it."""
        self._flush()
        mapping = self.find(document, path[:-1])
        value = self.find(document, path)
        if not isinstance(mapping, Mapping) or value is None:
            raise EditError(f"{self.path}: there is no value {path_text(path)}.")
        number = next(n for n, (_, node) in enumerate(mapping.entries) if node is value)
        key = mapping.entries[number][0]
        if mapping.flow:
            splice = _cut_flow([_span(pair) for pair in mapping.entries], number)
        elif len(mapping.entries) > 1:
            splice = self._cut(key, value)
        else:
            splice = key.start, _content_end(self.parsed.text, value), "{}"
        del mapping.entries[number]
        self._apply(splice)
        old = value.value if isinstance(value, Scalar) else None
        self.changes.append(Change(path_text(path), old, None, key.line))

    def remove_item(self, document: int, path: Path, number: int) -> None:
        """Take one item out of the list at `path`, which keeps at least one."""
        self._flush()
        sequence = self.find(document, path)
        if not isinstance(sequence, Sequence) or len(sequence.items) < 2:
            raise EditError(f"{self.path}: {path_text(path)} is not a list from which an item can be taken.")
        item = sequence.items[number]
        if sequence.flow:
            splice = _cut_flow([(node.start, node.end) for node in sequence.items], number)
        else:
            splice = self._cut(Scalar("-", "", self.parsed.text.rfind("-", 0, item.start), 0, 0, 0), item)
        del sequence.items[number]
        self._apply(splice)
        for key, value in item.entries if isinstance(item, Mapping) else ():
            if isinstance(key, Scalar) and isinstance(value, Scalar):
                self.changes.append(Change(path_text((*path, number, key.value)), value.value, None, key.line))

    def _last_position(self, mapping: Mapping) -> int:
        """Where a new last key goes: before a block of text that no line may follow."""
        count = len(mapping.entries)
        if not self._ends_open(mapping):
            return count
        if count == 1:
            block = mapping.entries[0][1]
            raise self._unsafe([(block.start, block.end, "")], "the block of text at the end would get a line end")
        return count - 1

    def _ends_open(self, node: Node) -> bool:
        block = _last_block(node) if self._open else None
        return block is not None and block is _last_block(self.parsed.documents[-1])

    # --- spans --------------------------------------------------------------------------------------

    def _line_end(self, position: int) -> int:
        match = _LINE_END.search(self.parsed.text, position)
        return match.end() if match else len(self.parsed.text)

    def _after_line(self, node: Node, lines: str) -> Splice:
        position = self._line_end(_content_end(self.parsed.text, node))
        return position, position, lines + self.newline

    def _at_end(self, document: int, root: Node, lines: str) -> Splice:
        """After the last line of a document that holds anything, comments included."""
        text, end = self.parsed.text, self.parsed.ends[document]
        kept = _last_block(root)
        if kept is None or "+" not in text[kept.start : self._line_end(kept.start)]:
            end = self._line_end(max(len(text[:end].rstrip()), _content_end(text, root)))
        return end, end, lines + self.newline

    def _into_flow(
        self, parent: Mapping | Sequence, spans: Items[tuple[int, int]], position: int, new: str
    ) -> list[Splice]:
        """`, new` after the span before `position`, on a line of its own where its neighbours have one."""
        text = self.parsed.text
        if not spans:
            return [(parent.start + 1, parent.start + 1, new)]
        start, end = spans[position - 1]
        lead = text[spans[position - 2][1] if position > 1 else parent.start + 1 : start]
        if not _LINE_END.search(lead):
            return [(end, end, f", {new}")]
        indent = lead[len(lead.rstrip(" \t")) :]
        line_end = self._line_end(end)
        rest = _FLOW_REST.fullmatch(text, end, line_end)
        if rest is None:
            return [(end, end, f",{self.newline}{indent}{new}")]
        # After the comment beside the neighbour, which is that one's.
        if rest["comma"]:
            return [(line_end, line_end, f"{indent}{new},{self.newline}")]
        return [(end, end, ","), (line_end, line_end, f"{indent}{new}{self.newline}")]

    def _cut(self, first: Node, last: Node) -> Splice:
        """The lines from `first` to the end of `last`; where the line begins with a dash, that stays."""
        text = self.parsed.text
        line_start = max(text.rfind("\n", 0, first.start), text.rfind("\r", 0, first.start)) + 1
        if line_start == 0 and text.startswith(yamltext.BOM):
            line_start = 1
        end = self._line_end(_content_end(text, last))
        if text[line_start : first.start].strip(" "):
            space = _SPACE.match(text, end)
            return first.start, space.end() if space else end, ""
        return line_start, end, ""

    def _line(self, splice: Splice) -> int:
        return self.parsed.text.count("\n", 0, splice[0]) + 1

    def _flush(self) -> None:
        if self._splices:
            splices, self._splices = self._splices, []
            self._apply(*splices)

    def _apply(self, *splices: Splice, documents: tuple[Node | None, ...] | None = None) -> None:
        """Change the text; the nodes have been changed as they must be read from it now."""
        expected = self.parsed.documents if documents is None else documents
        text = self.parsed.text
        parts, position = [], 0
        for start, end, replacement in sorted(splices, key=lambda splice: splice[:2]):
            parts += [text[position:start], replacement]
            position = end
        new = "".join([*parts, text[position:]])
        try:
            self.parsed = yamltext.parse(new, self.path)
        except EditError as error:
            raise self._unsafe(splices, error.message) from error
        got = self.parsed.documents
        if len(got) != len(expected) or not all(yamltext.same(a, b) for a, b in zip(got, expected, strict=True)):
            raise self._unsafe(splices, "other values would change with it")

    def _unsafe(self, splices: Items[Splice], why: str) -> EditError:
        return EditError(
            f"{self.path}:{self._line(min(splices))}: this place cannot be edited without touching more: {why}.",
            hint="Nothing was written. Edit this file by hand, or write its entry in the usual form.",
        )


def _content_end(text: str, node: Node) -> int:
    """Where the text of a node ends: a block scalar's end is only known to be before the next value."""
    if isinstance(node, Mapping) and not node.flow and node.entries:
        return _content_end(text, node.entries[-1][1])
    if isinstance(node, Sequence) and not node.flow and node.items:
        return _content_end(text, node.items[-1])
    if isinstance(node, Scalar) and node.style and node.style in "|>":
        block = text[node.start : node.end]
        keeps = "+" in block.splitlines()[0]
        return node.start + len(block[:-1] if keeps else block.rstrip())
    return node.end


def _last_block(node: Node | None) -> Scalar | None:
    """The block scalar with which a document ends, if it does."""
    while isinstance(node, Mapping | Sequence) and not node.flow:
        inner = node.items if isinstance(node, Sequence) else [value for _, value in node.entries]
        if not inner:
            return None
        node = inner[-1]
    return node if isinstance(node, Scalar) and node.style and node.style in "|>" else None


def _span(entry: tuple[Node, Node]) -> tuple[int, int]:
    return entry[0].start, entry[1].end


def _cut_flow(spans: Items[tuple[int, int]], number: int) -> Splice:
    if number + 1 < len(spans):
        return spans[number][0], spans[number + 1][0], ""
    return (spans[number - 1][1] if number else spans[number][0]), spans[number][1], ""


def _after(mapping: Mapping, name: str | None) -> int:
    """The number of entries up to and with the key `name`; of all where it is not there."""
    for number, (key, _) in enumerate(mapping.entries, 1):
        if isinstance(key, Scalar) and key.value == name:
            return number
    return len(mapping.entries)


def _is_json(parent: Node, name: str | int) -> bool:
    """The value's own key is in double quotes, as in JSON: so must the value be."""
    if not isinstance(parent, Mapping):
        return False
    return any(isinstance(key, Scalar) and key.value == name and key.style == '"' for key, _ in parent.entries)
