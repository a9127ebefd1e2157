"""Requests and answers held against a forge's own description of its API (OpenAPI 3).

A part of a description that is known to be wrong or silent is in the table of `spec_gaps`; everything else that a
fake answers, or that we ask, and that the description does not know, is a breach that fails the test.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.fakes.spec_gaps import Gap
from tests.rig.parts import missing

HOW = "set CI_GITOPS_TEST_SPECS to the folder with the forges' OpenAPI descriptions"
_ANYWHERE = (401, 403, 404, 429)  # who asks, and how often: no description says so at each call
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,),
}  # fmt: skip


def load_spec(name: str, gaps: Sequence[Gap], *, loose: bool = False) -> Spec | None:
    """The description in the folder of CI_GITOPS_TEST_SPECS; None where that is not there: nothing is checked then.

    `loose`: a program has made it from one that names no types, so that a string of an answer may be anything and
    all may be null.
    """
    folder = os.environ.get("CI_GITOPS_TEST_SPECS")
    path = Path(folder or "nowhere") / name
    if path.is_file():
        return _loaded(path, tuple(gaps), loose)
    if os.environ.get("CI") == "true":
        missing(f"the description {name}", HOW)
    return None


@functools.cache
def _loaded(path: Path, gaps: tuple[Gap, ...], loose: bool) -> Spec:
    text = path.read_text()
    data = json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.CSafeLoader)
    return Spec(data, gaps, loose)


@dataclass(frozen=True)
class Operation:
    call: str  # `PUT /api/v4/projects/{id}`
    data: Mapping[str, Any]
    shared: Sequence[Mapping[str, Any]]  # parameters of the path

    @property
    def parameters(self) -> list[Mapping[str, Any]]:
        return [*self.shared, *self.data.get("parameters", [])]


@dataclass
class Spec:
    data: Mapping[str, Any]
    gaps: Sequence[Gap] = ()
    loose: bool = False
    _paths: list[tuple[int, re.Pattern[str], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for template in self.data["paths"]:
            pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template))
            self._paths.append((template.count("{"), re.compile(pattern), template))
        self._paths.sort(key=lambda row: row[0])

    def check_request(self, method: str, path: str, query: Mapping[str, Sequence[str]], body: Any) -> list[str]:
        """What of a request the description does not allow."""
        found = self._operation(method, path)
        if isinstance(found, str):
            return [] if self._gap(found, "call") is not None else [f"{found} is not in the description"]
        silent = self._names(found.call, "request")
        problems = [*self._query(found, query, silent)]
        content = self._resolve(found.data.get("requestBody", {})).get("content", {}).get("application/json")
        if isinstance(body, Mapping):
            body = {name: value for name, value in body.items() if name not in silent}
        if content is None:
            return [*problems, *([f"{found.call}: has no body, not {body}"] if body else [])]
        schema = content.get("schema", {})
        return [*problems, *(f"{found.call}: {one}" for one in self._check(schema, body or {}, "body", silent, False))]

    def check_answer(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """What of an answer the description does not know."""
        found = self._operation(method, path)
        if isinstance(found, str):
            return []
        responses = found.data["responses"]
        answer = self._resolve(responses.get(str(status), responses.get("default", {})))
        if not answer:
            known = status in _ANYWHERE or str(status) in self._names(found.call, "status")
            return [] if known else [f"{found.call}: answered {status}, which the description does not know"]
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        if schema is None or status >= 300:
            return []
        silent = self._names(found.call, "answer")
        shown = body if "answer" in silent and isinstance(body, list) else [body]
        return [
            f"{found.call} {status}: {one}"
            for item in shown
            for one in self._check(schema, item, "answer", silent, True)
        ]

    def _operation(self, method: str, path: str) -> Operation | str:
        for _, pattern, template in self._paths:
            item = self.data["paths"][template]
            if method.lower() in item and pattern.fullmatch(path):
                return Operation(f"{method} {template}", item[method.lower()], item.get("parameters", []))
        return f"{method} {path}"

    def _gap(self, call: str, part: str) -> Gap | None:
        return next((gap for gap in self.gaps if gap.part == part and re.fullmatch(gap.call, call)), None)

    def _names(self, call: str, part: str) -> frozenset[str]:
        rows = [gap.names for gap in self.gaps if gap.part == part and re.fullmatch(gap.call, call)]
        return frozenset(name for names in rows for name in names)

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            target: Any = self.data
            for key in schema["$ref"].removeprefix("#/").split("/"):
                target = target[key]
            schema = target
        return schema

    def _query(self, found: Operation, query: Mapping[str, Sequence[str]], silent: frozenset[str]) -> Iterator[str]:
        known = {one["name"]: one for one in map(self._resolve, found.parameters) if one["in"] == "query"}
        for name, values in query.items():
            plain = name.removesuffix("[]")
            if plain in silent:
                continue
            if plain not in known:
                yield f"{found.call}: no query parameter {name}"
                continue
            schema = self._resolve(known[plain].get("schema", {}))
            inner = self._resolve(schema.get("items", {})) if schema.get("type") == "array" else schema
            allowed = [str(one).lower() if isinstance(one, bool) else str(one) for one in inner.get("enum", [])]
            for value in values:
                if (allowed and value.lower() not in allowed) or (
                    inner.get("type") == "integer" and not value.isdigit()
                ):
                    yield f"{found.call}: {name}={value} does not fit"
        for name, one in known.items():
            if one.get("required") and name not in query and f"{name}[]" not in query and name not in silent:
                yield f"{found.call}: the query parameter {name} is missing"

    def _check(self, schema: Mapping[str, Any], value: Any, where: str, silent: frozenset[str], out: bool) -> list[str]:
        """`out`: an answer, which may leave fields out where the description demands too much."""
        schema = self._resolve(schema)
        if value is None and (self.loose or schema.get("nullable") or not schema):
            return []
        for key in ("oneOf", "anyOf"):
            if key in schema:
                tries = [self._check(one, value, where, silent, out) for one in schema[key]]
                best = min(tries, key=len)
                return best if "properties" not in schema else []
        if "allOf" in schema:
            schema = self._merged(schema)
        wanted = schema.get("type") or ("object" if "properties" in schema else None)
        if wanted == "string" and out and self.loose:
            return []
        if wanted and not _is_a(wanted, value):
            return [f"{where} should be {wanted}, is {value!r:.80}"]
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where} is {value!r}, not one of {schema['enum']}"]
        if isinstance(value, list):
            items = schema.get("items", {})
            return [
                one for at, item in enumerate(value) for one in self._check(items, item, f"{where}[{at}]", silent, out)
            ]
        if isinstance(value, dict) and wanted == "object":
            return self._object(schema, value, where, silent, out)
        return []

    def _object(
        self, schema: Mapping[str, Any], value: Mapping[str, Any], where: str, silent: frozenset[str], out: bool
    ) -> list[str]:
        fields = schema.get("properties", {})
        free = schema.get("additionalProperties")
        problems = []
        for name, inner in value.items():
            if name in silent:
                continue
            if name in fields:
                problems += self._check(fields[name], inner, f"{where}.{name}", silent, out)
            elif fields and not free:
                problems.append(f"{where}.{name} is not in the description")
        if not out:
            problems += [f"{where}.{name} is missing" for name in schema.get("required", []) if name not in value]
        return problems

    def _merged(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        parts = [self._resolve(one) for one in schema["allOf"]]
        properties = {name: one for part in parts for name, one in part.get("properties", {}).items()}
        return {"type": "object", "properties": properties} if properties else (parts[0] if parts else {})


def _is_a(wanted: str, value: Any) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, _TYPES[wanted])
