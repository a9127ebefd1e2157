"""Label and field selectors, and label selectors as objects hold them.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Match = Callable[[Mapping[str, Any]], bool]
_SET = re.compile(r"^(?P<key>[^\s!=(),]+)\s+(?P<operator>in|notin)\s+\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s!=(),]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s!=(),]*)$")
_EXISTS = re.compile(r"^(?P<no>!?)\s*(?P<key>[^\s!=(),]+)$")


def labels(text: str) -> Match:
    """`a=b,c!=d,e in (f,g),!h`. ValueError where it is none."""
    wanted = [_requirement(part.strip()) for part in re.split(r",(?![^()]*\))", text) if part.strip()]
    return lambda found: all(fits(found) for fits in wanted)


def _requirement(text: str) -> Match:
    if found := _SET.match(text):
        values = {value.strip() for value in found["values"].split(",")}
        return _among(found["key"], values, found["operator"] == "in")
    if found := _EQUAL.match(text):
        return _among(found["key"], {found["value"]}, found["operator"] != "!=")
    if found := _EXISTS.match(text):
        key, wanted = found["key"], not found["no"]
        return lambda labels: (key in labels) == wanted
    raise ValueError(f"unable to parse requirement: {text!r}")


def _among(key: str, values: set[str], wanted: bool) -> Match:
    return lambda labels: (labels.get(key) in values) == wanted


_EVERYWHERE = frozenset(("metadata.name", "metadata.namespace"))
#: What else can be asked for, by kind.
_FIELDS = {
    "Event": frozenset((
        "involvedObject.apiVersion", "involvedObject.fieldPath", "involvedObject.kind", "involvedObject.name",
        "involvedObject.namespace", "involvedObject.resourceVersion", "involvedObject.uid", "reason",
        "reportingComponent", "source", "type",
    )),
    "Job": frozenset(("status.successful",)),
    "Namespace": frozenset(("status.phase",)),
    "Node": frozenset(("spec.unschedulable",)),
    "Pod": frozenset((
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase",
        "status.podIP",
    )),
    "ReplicaSet": frozenset(("status.replicas",)),
    "ReplicationController": frozenset(("status.replicas",)),
    "Secret": frozenset(("type",)),
}  # fmt: skip


def fields(text: str, kind: str = "") -> Match:
    """`metadata.name=a,status.phase!=Running` on what can be asked for of a kind. ValueError otherwise."""
    wanted = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        found = _EQUAL.match(part)
        if found is None:
            raise ValueError(f"invalid field selector: {part!r}")
        key, more = found["key"], _FIELDS.get(kind)
        if more is None and key not in _EVERYWHERE:
            raise ValueError(f'"{key}" is not a known field selector: only "metadata.name", "metadata.namespace"')
        if more is not None and key not in _EVERYWHERE | more:
            raise ValueError(f"field label not supported: {key}")
        wanted.append((found["key"].split("."), found["value"], found["operator"] != "!="))
    return lambda document: all((_at(document, path) == value) == fits for path, value, fits in wanted)


def _at(document: Any, path: list[str]) -> str:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return "" if document is None else str(document)


def selects(selector: Mapping[str, Any] | None, found: Mapping[str, str]) -> bool:
    """Whether a LabelSelector, or a plain map, chooses an object with these labels. An absent one chooses nothing."""
    if selector is None:
        return False
    if not selector.keys() <= {"matchLabels", "matchExpressions"}:
        return all(found.get(key) == value for key, value in selector.items())
    if any(found.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(each, found) for each in selector.get("matchExpressions") or ())


def _expression(expression: Mapping[str, Any], found: Mapping[str, str]) -> bool:
    key, operator, values = expression.get("key", ""), expression.get("operator"), expression.get("values") or ()
    if operator in ("Exists", "DoesNotExist"):
        return (key in found) is (operator == "Exists")
    return (found.get(key) in values) is (operator == "In")
