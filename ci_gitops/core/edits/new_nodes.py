"""How a new entry is written: block or flow style, plain or with JSON's quotes, as its neighbours are."""

from __future__ import annotations

from collections.abc import Sequence as Items

from ci_gitops.core.yamlscalar import write_string
from ci_gitops.core.yamltext import Mapping, Node, Scalar, Sequence


def is_json_map(mapping: Mapping) -> bool:
    return bool(mapping.entries) and all(isinstance(key, Scalar) and key.style == '"' for key, _ in mapping.entries)


def new_scalar(value: str, style: str, *, flow: bool = False) -> Scalar:
    return Scalar(value, write_string(value, style, flow=flow)[1], 0, 0, 0, 0)


def written(scalar: Scalar) -> str:
    return write_string(scalar.value, scalar.style, flow=True)[0] if scalar.style else scalar.value


def new_mapping(entries: Items[tuple[str, str]], *, flow: bool, json: bool) -> Mapping:
    style = '"' if json else ""
    pairs: list[tuple[Node, Node]] = [
        (new_scalar(key, style), new_scalar(value, style, flow=flow)) for key, value in entries
    ]
    return Mapping(flow, 0, 0, 0, 0, entries=pairs)


def new_sequence(item: Mapping, *, flow: bool) -> Sequence:
    return Sequence(flow, 0, 0, 0, 0, items=[item])


def _pairs(item: Mapping) -> list[str]:
    return [
        f"{written(key)}: {written(value)}"
        for key, value in item.entries
        if isinstance(key, Scalar) and isinstance(value, Scalar)
    ]


def write_flow(item: Mapping) -> str:
    return "{" + ", ".join(_pairs(item)) + "}"


def write_item(item: Mapping, dash: int, offset: int, newline: str) -> str:
    """A list item in block style, without its last line end."""
    start = " " * dash + "-" + " " * (offset - 1)
    if item.flow or not item.entries:
        return start + write_flow(item)
    return start + (newline + " " * (dash + offset)).join(_pairs(item))
