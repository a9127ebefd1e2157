"""From a KEY that a person wrote to the one value that it means in a file, or an error that says what is there.

A key is a path (`spec.replicas`, `hosts[1].port`, `hosts.1.port`). Beyond the paths of `yamltext` it may name an
item of a list by a value in it (`containers[name=web].image`), and it may name a key that has dots in it without
quotes (`annotations.app.kubernetes.io/name`): taken where it can be read in one way only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from ci_gitops.core.text import counted, did_you_mean, near
from ci_gitops.core.yamltext import Alias, Mapping, Node, Path, Scalar, Sequence, YamlText, parse_path, path_text, walk
from ci_gitops.errors import EditError, UsageError

_SELECTOR = re.compile(r"\[([A-Za-z_][^=\]\[\"']*)=([^\]]*)\]")
#: The head of an assignment: quotes and brackets may hold an equals sign.
_KEY = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]|\\.|[^=\["'\\])+""")
_FORM = "Write it as KEY=VALUE, for example image.tag=1.2 or hosts[0].port=8080."


@dataclass(frozen=True, slots=True)
class Selector:
    """The item of a list whose `field` has the value `value`."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Place:
    """One value: the number of its document, counted from 0, and its path there."""

    document: int
    path: Path


Parts = tuple[str | int | Selector, ...]


def parse_assignment(text: str) -> tuple[str, str]:
    """`KEY=VALUE` as key and value, split at the first equals sign outside brackets and quotes."""
    match = _KEY.match(text)
    if not match or not text.startswith("=", match.end()):
        raise UsageError(f"{text!r} is not KEY=VALUE.", hint=_FORM)
    _parts(match[0])
    return match[0], text[match.end() + 1 :]


def locate(yaml_text: YamlText, key: str, document: str | None = None) -> Place:
    """The one place that `key` means. Raises EditError where there is none, or more than one."""
    parts = _parts(key)
    chosen = _documents(yaml_text, document)
    places = [Place(number, path) for number in chosen for path in _paths(yaml_text.documents[number], parts)]
    # The path as it is written comes before one in which its dots belong to a key.
    places = [place for place in places if len(place.path) == len(parts)] or places
    if not places:
        _missing(yaml_text, key, parts, chosen)
    if len(places) > 1:
        _ambiguous(yaml_text, key, places)
    return places[0]


def _parts(key: str) -> Parts:
    parts: list[str | int | Selector] = []
    position = 0
    for match in _SELECTOR.finditer(key):
        if match.start() > position:
            parts += parse_path(key[position : match.start()].removeprefix("." if parts else ""))
        parts.append(Selector(match[1], match[2]))
        position = match.end()
    if position < len(key) or not parts:
        rest = key[position:]
        if parts and not rest.startswith((".", "[")):
            raise UsageError(f"{key!r} is not a path to a value.", hint=_FORM)
        parts += parse_path(rest.removeprefix(".") if parts else rest)
    return tuple(parts)


def _paths(node: Node | None, parts: Parts, at: Path = ()) -> Iterator[Path]:
    """All paths that `parts` can be read as; one that leads through an alias ends there, to be refused by name."""
    if not parts or isinstance(node, Alias):
        yield at
    elif isinstance(node, Sequence):
        for number in _items(node, parts[0]):
            yield from _paths(node.items[number], parts[1:], (*at, number))
    elif isinstance(node, Mapping):
        known = set(node.keys())
        for length in range(1, len(parts) + 1):
            head = parts[:length]
            if not all(isinstance(part, str) for part in head):
                break
            name = ".".join(map(str, head))
            if name in known:
                yield from _paths(node.get(name), parts[length:], (*at, name))


def _items(sequence: Sequence, part: str | int | Selector) -> list[int]:
    if isinstance(part, Selector):
        return [
            number
            for number, item in enumerate(sequence.items)
            if isinstance(item, Mapping) and item.text(part.field) == part.value
        ]
    number = int(part) if isinstance(part, int) or (part.isascii() and part.isdigit()) else -1
    return [number] if 0 <= number < len(sequence.items) else []


def _documents(yaml_text: YamlText, wanted: str | None) -> list[int]:
    """The documents that `--document` means: a number counted from 1, a kind, or kind/name."""
    everything = [number for number, root in enumerate(yaml_text.documents) if root is not None]
    if wanted is None:
        return everything
    labels = {number: _label(yaml_text, number) for number in everything}
    found = [
        number
        for number, label in labels.items()
        if wanted == str(number + 1) or wanted.lower() in (label.lower(), label.partition("/")[0].lower())
    ]
    if not found:
        raise EditError(
            f"{yaml_text.path}: there is no document {wanted!r}.",
            hint=did_you_mean(wanted, labels.values(), "There are"),
        )
    return found


def _label(yaml_text: YamlText, number: int) -> str:
    root = yaml_text.documents[number]
    kind = root.text("kind") if isinstance(root, Mapping) else None
    metadata = root.get("metadata") if isinstance(root, Mapping) else None
    name = metadata.text("name") if isinstance(metadata, Mapping) else None
    return "/".join(filter(None, (kind, name))) or str(number + 1)


def _ambiguous(yaml_text: YamlText, key: str, places: list[Place]) -> NoReturn:
    numbers = sorted({place.document for place in places})
    if len(numbers) > 1:
        labels = ", ".join(f"{_label(yaml_text, number)} (document {number + 1})" for number in numbers)
        raise EditError(
            f"{yaml_text.path}: the key {key!r} is in {len(numbers)} documents: {labels}.",
            hint=f"Say which one: --document {_label(yaml_text, numbers[0])} or --document {numbers[0] + 1}.",
        )
    readings = " or ".join(repr(path_text(place.path)) for place in places)
    raise EditError(f"{yaml_text.path}: the key {key!r} means {len(places)} values.", hint=f"Write {readings}.")


def _missing(yaml_text: YamlText, key: str, parts: Parts, chosen: list[int]) -> NoReturn:
    """Say how far the key leads, and what is there."""
    file, roots = yaml_text.path, [yaml_text.documents[number] for number in chosen]
    if not roots:
        raise EditError(f"{file}: the file is empty, so there is no key {key!r}.", hint="`set` changes what is there.")
    at, node = max((_last(root, parts) for root in roots), key=lambda found: len(found[0]))
    where = f"{file}:{node.line}" if node else file
    known = [path_text(path) for root in roots for path, value in walk(root) if isinstance(value, Scalar)]
    hint = _near(key, known) or "`set` changes what is there: add the key to the file first."
    why = _why(node, path_text(at), parts[min(len(at), len(parts) - 1)])
    raise EditError(f"{where}: there is no key {key!r}{why}.", hint=hint)


def _last(node: Node | None, parts: Parts) -> tuple[Path, Node | None]:
    """The longest way that the parts lead from `node`, and the value there."""
    for length in range(len(parts) - 1, 0, -1):
        for path in _paths(node, parts[:length]):
            return path, _at(node, path)
    return (), node


def _at(node: Node | None, path: Path) -> Node | None:
    for part in path:
        if isinstance(node, Mapping):
            node = node.get(str(part))
        elif isinstance(node, Sequence):
            node = node.items[int(part)]
    return node


def _why(node: Node | None, name: str, part: str | int | Selector) -> str:
    shown = repr(name) if name else "the document"
    if isinstance(node, Sequence):
        if isinstance(part, Selector):
            return f": no item of the list {shown} has {part.field}={part.value}"
        size = f"{shown} has {counted(len(node.items), 'item')}, counted from 0"
        return f": {size}" if isinstance(part, int) or part.isdigit() else f": {shown} is a list; {size}"
    if isinstance(node, Scalar):
        return f": {shown} is a scalar, {node.value!r}" if node.value else f": {shown} is empty"
    if isinstance(node, Mapping) and node.merges:
        return f": {shown} has no such key of its own; if it comes by the merge key <<, edit it where it is written"
    return ""


def _near(key: str, known: list[str]) -> str | None:
    """People forget the head of a path: the full ones come first, then those that are spelt alike."""
    matches = [name for name in known if name.endswith(f".{key}")][:3] or near(key, known)
    return f"Did you mean {' or '.join(repr(match) for match in matches)}?" if matches else None
