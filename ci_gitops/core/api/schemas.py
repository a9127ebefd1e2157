"""How the values of a kind are built and merged: the recorded types of Kubernetes, and those of custom resources.

The recorded types come from a server's OpenAPI (`tests/rig/openapi.py` writes them) and load when they are first used.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

#: `any` is a value without a schema, `map` one whose keys are free, `object` one with known fields.
Shape = Literal["any", "boolean", "integer", "int-or-string", "list", "map", "number", "object", "string"]
_SHAPES: dict[str, Shape] = {"array": "list", "boolean": "boolean", "integer": "integer", "number": "number",
                             "object": "object", "string": "string"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Schema:
    """One type. Types that others name are looked up in `types` when they are reached, since some hold themselves."""

    raw: Mapping[str, Any]
    types: Mapping[str, Any] = field(repr=False)
    shape: Shape
    atomic: bool = False  # owned and replaced as a whole
    keys: tuple[str, ...] = ()  # of a list whose items are merged by them
    format: str = ""
    custom: bool = False  # of a custom resource: kept as it is written, not as Go's types
    name: str = ""  # of a recorded type, as `apps.v1.DeploymentSpec`
    _found: dict[str, Schema | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_set(self) -> bool:
        return self.shape == "list" and not self.atomic and not self.keys

    @property
    def default(self) -> Any:
        return self.raw.get("default")

    @property
    def required(self) -> frozenset[str]:
        return frozenset(self.raw.get("required") or ())

    @property
    def pointer(self) -> bool:
        """Whether a zero that was given is kept."""
        return bool(self.raw.get("pointer"))

    @property
    def open(self) -> bool:
        """Whether fields that are not declared are kept."""
        return self.shape == "any" or bool(self.raw.get("preserve"))

    @property
    def embedded(self) -> bool:
        """Whether the value is an object of its own, with apiVersion, kind and metadata."""
        return bool(self.raw.get("embedded"))

    @property
    def fields(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.raw.get("fields") or {}
        return found

    def below(self, name: str) -> Schema | None:
        """The type of a field; None where it is not declared."""
        if self.shape == "map":
            return self.item
        if name not in self._found:
            self._found[name] = self._looked_up(name)
        return self._found[name]

    def _looked_up(self, name: str) -> Schema | None:
        found = self.fields.get(name)
        if found is not None:
            return _schema(found, self.types, self.custom)
        return ANYTHING if self.open else None

    @property
    def item(self) -> Schema:
        """The type of a list's items or of a map's values."""
        found = self.raw.get("items" if self.shape == "list" else "values")
        return _schema(found, self.types, self.custom) if found is not None else ANYTHING


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as it is served, with its type."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    verbs: frozenset[str]
    status: bool  # whether the status is written apart
    schema: Schema
    custom: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """How the server's messages name the kind's resource: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Recorded:
    version: str
    kinds: tuple[Kind, ...]


@cache
def recorded() -> Recorded:
    """What was recorded of a real server. A built-in kind is found here by its group, version and kind."""
    document = json.loads(gzip.decompress((files(__package__) / "kubernetes.json.gz").read_bytes()))
    types = document["types"]
    kinds = tuple(
        Kind(
            found["group"], found["version"], found["kind"], found["plural"], found["singular"], found["namespaced"],
            frozenset(found["verbs"]), found["status"], _schema({"ref": found["type"]}, types, custom=False),
        )
        for found in document["resources"]
    )  # fmt: skip
    return Recorded(document["version"], kinds)


def schema(raw: Mapping[str, Any], *, custom: bool) -> Schema:
    """A type that names no other."""
    return _schema(raw, {}, custom)


_MADE: dict[tuple[int, bool], tuple[Any, Schema]] = {}


def _schema(raw: Mapping[str, Any], types: Mapping[str, Any], custom: bool) -> Schema:
    """One record for each place of the types' documents, which live as long as what is made of them."""
    known = _MADE.get((id(raw), custom))
    if known is not None and known[0] is raw:
        return known[1]
    made = _made(raw, types, custom)
    if len(_MADE) > 20_000:  # many custom types that came and went
        _MADE.clear()
    _MADE[id(raw), custom] = (raw, made)
    return made


def _made(raw: Mapping[str, Any], types: Mapping[str, Any], custom: bool) -> Schema:
    full = raw
    if "ref" in raw:
        full = {**types[raw["ref"]], **{key: value for key, value in raw.items() if key != "ref"}}
    form = full.get("format", "")
    shape: Shape = "int-or-string" if form == "int-or-string" else _SHAPES.get(full.get("type", ""), "any")
    if shape == "object" and "fields" not in full:
        shape = "map" if "values" in full else "any"
    keys = tuple(full.get("keys") or ()) if full.get("list") == "map" else ()
    atomic = full.get("map") == "atomic" if shape in ("map", "object") else full.get("list") not in ("map", "set")
    if shape == "any":
        atomic = not full.get("preserve")
    named = raw.get("ref", "")
    return Schema(full, types, shape, shape in ("any", "list", "map", "object") and atomic, keys, form, custom, named)


#: A value below a field that nobody declared: maps are merged, lists are replaced.
ANYTHING = Schema({"preserve": True}, {}, "any")
