"""Whether a JSON document has the shape that its schema says: the few words of JSON Schema that our records need.

What is stored where others may write is read by the schema that is published for it, so that the two never differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "null": (type(None),),
    "boolean": (bool,),
}  # fmt: skip
_MOST_CHARACTERS = 60


def text(description: str = "", **rules: Any) -> Schema:
    return {"type": "string", **({"description": description} if description else {}), **rules}


def one_of(*words: str, description: str = "") -> Schema:
    return text(description, enum=list(words))


def integer(description: str = "") -> Schema:
    return {"type": "integer", **({"description": description} if description else {})}


def optional(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def several(items: Schema, description: str = "") -> Schema:
    return {"type": "array", "items": items, **({"description": description} if description else {})}


def mapping(properties: Mapping[str, Schema], description: str = "") -> Schema:
    """All of these must be there; more may be: a later version may say more."""
    described = {"description": description} if description else {}
    return {"type": "object", **described, "properties": dict(properties), "required": list(properties)}


def read_json(content: str, schema: Schema) -> Any:
    """What `content` holds; ValueError says where it has not the shape of `schema`."""
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if wrong := problem(document, schema):
        raise ValueError(wrong)
    return document


def problem(value: Any, schema: Schema) -> str | None:
    """The first thing that is wrong with `value`, as `at path: what was expected`; None where nothing is."""
    return next(_problems(value, schema, ""), None)


def _problems(value: Any, schema: Schema, path: str) -> Iterator[str]:
    choices = schema.get("anyOf")
    if choices is not None:
        if not any(next(_problems(value, choice, path), None) is None for choice in choices):
            yield from _problems(value, choices[0], path)
        return
    where = path or "the document"
    wanted = schema.get("type")
    if wanted and (not isinstance(value, _TYPES[wanted]) or (wanted == "integer" and isinstance(value, bool))):
        yield f"{where}: expected {_named(wanted)}, found {_shown(value)}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{where}: expected {schema['const']!r}, found {_shown(value)}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: expected one of {', '.join(schema['enum'])}, found {_shown(value)}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where}: {_shown(value)} does not look like {schema.get('description', schema['pattern'])}"
    if wanted == "object":
        yield from _entries(value, schema, path)
    if wanted == "array":
        for number, item in enumerate(value):
            yield from _problems(item, schema.get("items", {}), f"{path}[{number}]")


def _entries(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path or 'the document'}: {name} is missing"
    for name, inner in value.items():
        if name in properties:
            yield from _problems(inner, properties[name], f"{path}.{name}" if path else name)
        elif isinstance(schema.get("additionalProperties"), Mapping):
            yield from _problems(inner, schema["additionalProperties"], f"{path}.{name}" if path else name)


def _named(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aio" else f"a {kind}"


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _MOST_CHARACTERS else f"{shown[: _MOST_CHARACTERS - 2]} …"
