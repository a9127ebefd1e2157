"""Kinds that CustomResourceDefinitions declare: their structural schemas, and what these make of an object.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ci_gitops.core.api.refusals import Wrong
from ci_gitops.core.api.schemas import Kind, Schema, schema
from ci_gitops.core.fieldsets import same

VERBS = frozenset(("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"))
_TEXT = {"type": "string"}
_META_TEXTS = ("name", "namespace", "generateName", "uid", "resourceVersion", "selfLink", "creationTimestamp",
               "deletionTimestamp")  # fmt: skip
_OWNER = {
    "type": "object", "map": "atomic",
    "fields": {
        **dict.fromkeys(("apiVersion", "kind", "name", "uid"), _TEXT),
        **{name: {"type": "boolean"} for name in ("blockOwnerDeletion", "controller")},
    },
}  # fmt: skip
_META = {
    "type": "object",
    "fields": {
        **dict.fromkeys(_META_TEXTS, _TEXT),
        **{name: {"type": "integer"} for name in ("generation", "deletionGracePeriodSeconds")},
        **{name: {"type": "object", "values": _TEXT} for name in ("labels", "annotations")},
        "finalizers": {"type": "array", "list": "set", "items": _TEXT},
        "ownerReferences": {"type": "array", "list": "map", "keys": ["uid"], "items": _OWNER},
        "managedFields": {"type": "array", "list": "atomic", "items": {"preserve": True}},
    },
}
_HEAD = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": _META}
_KEPT = ("type", "default", "required", "enum", "pattern", "minimum", "maximum", "nullable", "minLength", "maxLength",
         "minItems", "maxItems", "exclusiveMinimum", "exclusiveMaximum", "format")  # fmt: skip
_MARKS = {
    "preserve-unknown-fields": "preserve", "embedded-resource": "embedded", "list-type": "list",
    "list-map-keys": "keys", "map-type": "map",
}  # fmt: skip


def kinds(definition: Mapping[str, Any]) -> Iterator[Kind]:
    """What a CustomResourceDefinition serves, the version that is preferred first."""
    spec = definition["spec"]
    names = spec["names"]
    for version in sorted(spec["versions"], key=lambda each: priority(each["name"])):
        if version.get("served"):
            raw = root(version)
            yield Kind(
                spec["group"], version["name"], names["kind"], names["plural"], names.get("singular", ""),
                spec["scope"] == "Namespaced", VERBS, "status" in (version.get("subresources") or {}),
                schema(raw, custom=True), custom=True,
            )  # fmt: skip


def root(version: Mapping[str, Any]) -> dict[str, Any]:
    """The type of a whole object."""
    declared = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    made = converted(declared)
    made["fields"] = {**made.get("fields", {}), **_HEAD}
    made.setdefault("type", "object")
    return made


def converted(declared: Mapping[str, Any]) -> dict[str, Any]:
    """One schema of OpenAPI in the words of `schemas`."""
    made: dict[str, Any] = {name: declared[name] for name in _KEPT if name in declared}
    for name, short in _MARKS.items():
        if declared.get(f"x-kubernetes-{name}"):
            made[short] = declared[f"x-kubernetes-{name}"]
    if declared.get("x-kubernetes-int-or-string"):
        made["format"] = "int-or-string"
    elif made.get("format") in ("byte", "quantity", "int-or-string"):
        del made["format"]  # they mean something in built-in kinds only
    return {**made, **_below(declared, preserves=bool(made.get("preserve")))}


def _below(declared: Mapping[str, Any], *, preserves: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    fields = declared.get("properties")
    embedded = declared.get("x-kubernetes-embedded-resource")
    if fields is not None or embedded:
        made["fields"] = {name: converted(below) for name, below in (fields or {}).items()}
        if embedded:
            made["fields"] |= _HEAD
    elif isinstance(declared.get("additionalProperties"), Mapping):
        made["values"] = converted(declared["additionalProperties"])
    elif declared.get("additionalProperties"):
        made["values"] = {"preserve": True}
    elif declared.get("type") == "object" and not preserves:
        made["fields"] = {}
    if "items" in declared:
        made["items"] = converted(declared["items"])
    return made


def priority(version: str) -> tuple[int, int, int, str]:
    """The order in which servers prefer versions: v2, v1, v1beta2, v1beta1, v1alpha1, then all others."""
    found = re.fullmatch(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?", version)
    if found is None:
        return 3, 0, 0, version
    stage = {None: 0, "beta": 1, "alpha": 2}[found[2]]
    return stage, -int(found[1]), -int(found[3] or 0), version


def pruned(declared: Schema, value: Any) -> Any:
    """The value without what its schema does not know."""
    if isinstance(value, Mapping) and declared.shape in ("object", "map"):
        made = {}
        for name, inner in value.items():
            below = declared.below(name)
            if below is not None:
                made[name] = pruned(below, inner)
        return made
    if isinstance(value, list) and declared.shape == "list":
        return [pruned(declared.item, inner) for inner in value]
    return value


def fill(declared: Schema, value: Any) -> None:
    """Defaults, in place; null goes where it may not stand and there is a default."""
    if isinstance(value, dict) and declared.shape in ("object", "map"):
        for name in declared.fields:
            below = declared.below(name)
            if below is None or below.default is None:
                continue
            if name not in value or (value[name] is None and not below.raw.get("nullable")):
                value[name] = copy.deepcopy(below.default)
        for name, inner in list(value.items()):
            below = declared.below(name)
            if below is not None:
                fill(below, inner)
    elif isinstance(value, list) and declared.shape == "list":
        for inner in value:
            fill(declared.item, inner)


def without_nulls(declared: Schema, value: Any) -> Any:
    """Null is no value where the schema does not allow it."""
    if isinstance(value, Mapping) and declared.shape in ("object", "map"):
        return {
            name: without_nulls(below, inner)
            for name, inner in value.items()
            if (below := declared.below(name)) is not None
            and (inner is not None or below.raw.get("nullable") or below.shape == "any" or below.default is not None)
        }
    if isinstance(value, list) and declared.shape == "list":
        return [without_nulls(declared.item, inner) for inner in value]
    return value


def wrongs(declared: Schema, value: Any, path: str = "") -> Iterator[Wrong]:
    """Where an object does not fit its schema, as the server says it."""
    if value is None and declared.raw.get("nullable"):
        return
    found = _type_of(value)
    wanted = declared.raw.get("type")
    if wanted and found != wanted and not (wanted == "number" and found == "integer"):
        yield Wrong(path, f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"')
    yield from _limits(declared, value, path)
    if isinstance(value, Mapping):
        for name in sorted(declared.required):
            if name not in value:
                yield Wrong(_join(path, name), "Required value")
        for name, inner in value.items():
            below = declared.below(name)
            if below is not None and (path or name not in ("metadata", "apiVersion", "kind")):
                yield from wrongs(below, inner, _join(path, name))
    elif isinstance(value, list) and declared.shape == "list":
        yield from _twice(declared, value, path)
        for number, inner in enumerate(value):
            yield from wrongs(declared.item, inner, f"{path}[{number}]")


def _twice(declared: Schema, values: list[Any], path: str) -> Iterator[Wrong]:
    """Items of a set, or with the same keys, that are there more than once."""
    if declared.atomic:
        return
    seen = set()
    for number, value in enumerate(values):
        mark = value
        if declared.keys:
            given = value if isinstance(value, Mapping) else {}
            mark = {key: given[key] for key in declared.keys if key in given}
        told = json.dumps(mark, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        if told in seen:
            yield Wrong(f"{path}[{number}]", f"Duplicate value: {told}")
        seen.add(told)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((Mapping, "object"), (list, "array"), (str, "string"), (int, "integer"), (float, "number")):
        if isinstance(value, kind):
            return "integer" if isinstance(value, float) and value.is_integer() else name
    return "null"


def _limits(declared: Schema, value: Any, path: str) -> Iterator[Wrong]:
    raw = declared.raw
    if "enum" in raw and not any(same(value, allowed) for allowed in raw["enum"]):
        allowed = ", ".join(f'"{each}"' if isinstance(each, str) else str(each) for each in raw["enum"])
        yield Wrong(path, f"Unsupported value: {_quoted(value)}: supported values: {allowed}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in raw and value < raw["minimum"]:
            yield Wrong(
                path,
                f"Invalid value: {value}: {path} in body should be greater than or equal to {raw['minimum']}",
            )
        if "maximum" in raw and value > raw["maximum"]:
            yield Wrong(
                path, f"Invalid value: {value}: {path} in body should be less than or equal to {raw['maximum']}"
            )
    if isinstance(value, str):
        if "pattern" in raw and not re.search(raw["pattern"], value):
            yield Wrong(path, f"Invalid value: {_quoted(value)}: {path} in body should match '{raw['pattern']}'")
        if len(value) < raw.get("minLength", 0):
            yield Wrong(
                path,
                f"Invalid value: {_quoted(value)}: {path} in body should be at least {raw['minLength']} chars long",
            )
        if len(value) > raw.get("maxLength", len(value)):
            yield Wrong(path, f"Too long: may not be more than {raw['maxLength']} bytes")
    if isinstance(value, list):
        if len(value) < raw.get("minItems", 0):
            yield Wrong(
                path, f"Invalid value: {len(value)}: {path} in body should have at least {raw['minItems']} items"
            )
        if len(value) > raw.get("maxItems", len(value)):
            yield Wrong(path, f"Too many: {len(value)}: must have at most {raw['maxItems']} items")


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
