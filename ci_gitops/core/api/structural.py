"""Whether a CustomResourceDefinition's schema is structural, as servers ask for it.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ci_gitops.core.api.refusals import Wrong

_TYPES = ("array", "boolean", "integer", "number", "object", "string")


def structural(definition: Mapping[str, Any]) -> Iterator[Wrong]:
    spec = definition["spec"]
    names = spec.get("names") or {}
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if definition["metadata"]["name"] != wanted:
        told = f'Invalid value: "{definition["metadata"]["name"]}": must be spec.names.plural+"."+spec.group'
        yield Wrong("metadata.name", told)
    for field in ("kind", "plural"):
        if not names.get(field):
            yield Wrong(f"spec.names.{field}", "Required value")
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        yield Wrong(
            "spec.scope", f'Unsupported value: "{spec.get("scope", "")}": supported values: "Cluster", "Namespaced"'
        )
    if (spec.get("conversion") or {}).get("strategy") == "Webhook":
        why = "Forbidden: a simulated cluster calls no webhooks; it serves versions that differ in nothing (None)"
        yield Wrong("spec.conversion.strategy", why)
    versions = spec.get("versions") or ()
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield Wrong("spec.versions", "Invalid value: must have exactly one version marked as storage version")
    for number, version in enumerate(versions):
        path = f"spec.versions[{number}].schema.openAPIV3Schema"
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            yield Wrong(path, "Required value: schemas are required")
        else:
            yield from _schema(schema, path, root=True)


def _schema(schema: Mapping[str, Any], path: str, *, root: bool = False, item: bool = False) -> Iterator[Wrong]:
    kind = schema.get("type")
    if not kind and not _untyped(schema):
        where = "at the root" if root else "for specified array items" if item else "for specified object fields"
        yield Wrong(f"{path}.type", f"Required value: must not be empty {where}")
    elif kind and kind not in _TYPES:
        told = ", ".join(f'"{each}"' for each in _TYPES)
        yield Wrong(f"{path}.type", f'Unsupported value: "{kind}": supported values: {told}')
    elif root and kind != "object":
        yield Wrong(f"{path}.type", f'Invalid value: "{kind}": must be object at the root')
    if kind == "array" and "items" not in schema:
        yield Wrong(f"{path}.items", "Required value: must be specified")
    if schema.get("x-kubernetes-list-type") == "map" and not schema.get("x-kubernetes-list-map-keys"):
        told = "Required value: must not be empty if x-kubernetes-list-type is map"
        yield Wrong(f"{path}.x-kubernetes-list-map-keys", told)
    for name, below in (schema.get("properties") or {}).items():
        yield from _schema(below, f"{path}.properties[{name}]")
    if isinstance(schema.get("items"), Mapping):
        yield from _schema(schema["items"], f"{path}.items", item=True)
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from _schema(schema["additionalProperties"], f"{path}.additionalProperties")


def _untyped(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields"))
