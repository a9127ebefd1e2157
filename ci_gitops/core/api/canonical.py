"""An object of a built-in kind as it comes back from the server, which reads it into Go's types and writes those.

What is null, empty or zero goes, unless its type keeps it; numbers with units are written in one way. Custom resources
are kept as they are given, without what their schema does not know.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from ci_gitops.core.api import quantities
from ci_gitops.core.api.schemas import Schema

_ZEROS: dict[str, Any] = {"boolean": False, "integer": 0, "number": 0, "string": "", "int-or-string": 0}
#: What is written although it is not given, since Go's type says so.
_WRITTEN: dict[str, dict[str, Any]] = {
    "core.v1.Event": {"eventTime": None, "firstTimestamp": None, "lastTimestamp": None, "reportingComponent": "",
                      "reportingInstance": ""},
    "core.v1.ResourceFieldSelector": {"divisor": "0"},
    "rbac.v1.ClusterRole": {"rules": None},
    "rbac.v1.Role": {"rules": None},
}  # fmt: skip


_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


class UndecodableError(Exception):
    """A value that the server cannot read; `prefix` is what it says before where it was applied."""

    def __init__(self, message: str, prefix: str = "") -> None:
        super().__init__(message)
        self.prefix = prefix


def canonical(schema: Schema, value: Any) -> Any:
    """The value as its type writes it."""
    if schema.shape == "object":
        return _object(schema, value if isinstance(value, Mapping) else {})
    if schema.shape == "map":
        return {name: _below(schema.item, inner) for name, inner in value.items()}
    if schema.shape == "list":
        return [_below(schema.item, inner) for inner in value]
    if schema.format in ("quantity", "byte"):
        return _text(schema.format, value)
    if schema.shape == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _below(schema: Schema, value: Any) -> Any:
    """An item of a list or a map, where null becomes the type's zero."""
    if value is None and schema.shape not in ("object", "any"):
        return _ZEROS.get(schema.shape)
    return canonical(schema, value)


def _object(schema: Schema, value: Mapping[str, Any]) -> dict[str, Any]:
    made = {}
    required = schema.required
    for name, inner in value.items():
        below = schema.below(name)
        if below is None or inner is None:
            continue
        kept = canonical(below, inner)
        if _is_kept(below, kept, name in required):
            made[name] = kept
    for name in schema.fields:
        if name not in made:
            _fill(made, name, schema)
    for name, empty in _WRITTEN.get(schema.name, {}).items():
        made.setdefault(name, empty)
    return made


def _fill(made: dict[str, Any], name: str, schema: Schema) -> None:
    """What Go writes of a field that is not given."""
    below, required = schema.below(name), name in schema.required
    if below is None:
        return
    if below.default is None:
        if required and below.shape in ("list", "object"):
            made[name] = None
    elif below.default == {} and below.shape == "object":
        made[name] = canonical(below, {})
    elif required:
        made[name] = below.default
    elif below.format == "quantity":
        made[name] = "0"


def _is_kept(schema: Schema, value: Any, required: bool) -> bool:
    if schema.shape == "list":
        return bool(value) or (required and schema.default is not None)
    if schema.shape == "map":
        return bool(value)
    if schema.shape in ("boolean", "integer", "number", "string"):
        return bool(value) or schema.pointer or required
    return True


def _text(form: str, value: Any) -> str:
    if form == "quantity":
        try:
            return quantities.canonical(str(value))
        except ValueError as error:
            raise UndecodableError(str(error)) from error
    text = value.replace("\n", "").replace("\r", "")
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except binascii.Error as error:
        wrong = _NOT_BASE64.search(text)
        place = wrong.start() if wrong else len(text) // 4 * 4
        told = f"illegal base64 data at input byte {place}"
        raise UndecodableError(told, "error decoding from json: ") from error


def encoded(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts as a Secret keeps them."""
    return {name: base64.b64encode(text.encode(errors="surrogatepass")).decode() for name, text in texts.items()}
