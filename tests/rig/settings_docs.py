"""docs/configuration.md and the published JSON Schema, made from the models by `python -m tests.rig.settings_docs`.

The tests compare them; nobody writes them by hand.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ci_gitops.core.durations import format_duration
from ci_gitops.settings.schema import Config, json_schema

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "configuration.md"
SCHEMA = DOCS / "schema" / "ci-gitops.schema.json"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def schema_text() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def settings_text() -> str:
    """One table for each mapping of the file, in the order of the schema."""
    return "\n".join(_tables("", Config))


def key_paths() -> list[str]:
    """Every setting's key path, as the page names it."""
    return [f"{path}{name}" for path, model in _models("", Config) for name, _ in _fields(model)]


def _tables(prefix: str, model: type[BaseModel]) -> Iterator[str]:
    for path, part in _models(prefix, model):
        title = path.rstrip(".") or "At the top"
        yield f"### {f'`{title}`' if path else title}\n"
        yield f"{part.__doc__}\n"
        yield "| key | value | default | what it says |"
        yield "|---|---|---|---|"
        for name, field in _fields(part):
            about, _, default = (field.description or "").partition(" Default: ")
            shown = default.rstrip(".") or _default(field)
            yield f"| `{path}{name}` | {_value(field.annotation)} | {shown} | {about} |"
        yield ""


def _models(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield prefix, model
    for name, field in _fields(model):
        inner, suffix = _inner(field.annotation)
        if inner is not None:
            yield from _models(f"{prefix}{name}{suffix}.", inner)


def _fields(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(field.alias or name, field) for name, field in model.model_fields.items()]


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The model below a field, and what stands between: nothing, a name or a list's index."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    suffix = {dict: ".<name>", tuple: "[]"}.get(typing.get_origin(annotation), "")
    for item in typing.get_args(annotation):
        found, below = _inner(item)
        if found is not None:
            return found, suffix + below
    return None, ""


def _value(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, UnionType):
        return " or ".join(_value(item) for item in arguments if item is not type(None))
    if origin is typing.Annotated:
        return _value(arguments[0])
    if origin is typing.Literal:
        return ", ".join(f"`{item}`" for item in arguments)
    if origin is tuple:
        return f"list of {_value(arguments[0])}"
    if origin is dict:
        return f"mapping of names to {_value(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    names: dict[Any, str] = {
        str: "text",
        bool: "`true`, `false`",
        int: "number",
        timedelta: "time, such as `30m`, `7d`",
    }
    return names.get(annotation, "any value")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, str | int) else "none"


def page_text(page: str) -> str:
    """The page with its tables brought up to date."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{settings_text()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_text(PAGE.read_text()))
    SCHEMA.write_text(schema_text())
