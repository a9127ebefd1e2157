"""Whether a live object already is what a manifest declares, told without asking the server.

It is when every declared value is the live one and what our manager owns is exactly what is declared: applying it
would then change nothing. The trie of owned fields shows how the server merges (a list by keys, as a set, as a
whole), so that no schema is needed. "No" only means that the server must be asked, by a dry run; a wrong "yes" would
hide a difference, so whatever is not plain is a "no". The plan of an environment asks this first for every object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ci_gitops.core.fieldsets import MISSING, Item, Member, applied, entries, same, step_of

_Trie = Mapping[str, Any]
# Maps that are replaced as a whole (x-kubernetes-map-type: atomic), by the fields that hold them.
_WHOLE_MAPS = {
    "configMapKeyRef", "dataSource", "fieldRef", "labelSelector", "namespaceSelector", "nodeSelector", "objectSelector",
    "podSelector", "requiredDuringSchedulingIgnoredDuringExecution", "resourceFieldRef", "roleRef", "scaleTargetRef",
    "scopeSelector", "secretKeyRef", "selector",
}  # fmt: skip
# What nobody owns: the names of an object, and what the server alone writes.
_NOBODYS = ("apiVersion", "kind", "status")
_MAPS = ("labels", "annotations")
_NOBODYS_METADATA = ("name", "namespace", "creationTimestamp")


def is_settled(manifest: Mapping[str, Any], live: Mapping[str, Any], manager: str) -> bool:
    """Whether applying `manifest` as `manager` is known to leave `live` as it is."""
    entry = applied(live, manager)
    if entry is None or entry.api_version != manifest.get("apiVersion"):
        return False
    declared = {key: value for key, value in manifest.items() if key not in _NOBODYS}
    metadata = {
        key: value for key, value in (manifest.get("metadata") or {}).items()
        if key not in _NOBODYS_METADATA and (value or key not in _MAPS)
    }  # fmt: skip
    declared["metadata"] = metadata
    if not metadata:
        del declared["metadata"]
    fields = _without_empty_maps(entry.fields)
    others = [each.fields for each in entries(live) if each != entry]
    return _map_is_settled(declared, live, fields, others)


def _without_empty_maps(fields: _Trie) -> _Trie:
    """The trie without labels and annotations that were given empty: what these maps hold is of others."""
    metadata = {key: trie for key, trie in fields.get("f:metadata", {}).items()
                if trie or key not in ("f:labels", "f:annotations")}  # fmt: skip
    kept = {key: trie for key, trie in fields.items() if key not in ("f:status", "f:metadata")}
    return {**kept, "f:metadata": metadata} if metadata else kept


def _settled(name: str, declared: Any, live: Any, fields: _Trie, others: Sequence[_Trie]) -> bool:
    """`name` is the field's, or the list's whose item it is; `others` is what other managers own here."""
    below = {key: trie for key, trie in fields.items() if key != "."} if "." in fields else fields
    if not below:
        if type(declared) is str:  # nearly all values are
            return bool(declared == live) or (live is MISSING and not declared)
        return _is_whole(name, declared, others) and _value_is_settled(declared, live)
    if isinstance(declared, Mapping):
        return isinstance(live, Mapping) and _map_is_settled(declared, live, below, others)
    if isinstance(declared, list):
        return isinstance(live, list) and _list_is_settled(name, declared, live, below, others)
    return False


def _is_whole(name: str, declared: Any, others: Sequence[_Trie]) -> bool:
    """Whether a field that the trie shows without anything below is one that is owned as a whole.

    A map or list that is merged looks the same after it was given empty. What it holds now is then the server's
    default or somebody else's, and declaring it would make it ours.
    """
    if not declared or not isinstance(declared, Mapping | list):
        return True
    if any(key != "." for trie in others for key in trie):
        return False
    return isinstance(declared, list) or name in _WHOLE_MAPS


def _value_is_settled(declared: Any, live: Any) -> bool:
    """A field that we own and that is not there was given empty: the server drops what is empty from its answers."""
    if live is MISSING:
        return not declared
    return declared is not None and same(declared, live)


def _map_is_settled(
    declared: Mapping[str, Any], live: Mapping[str, Any], fields: _Trie, others: Sequence[_Trie]
) -> bool:
    if len(declared) != len(fields):
        return False
    for name, value in declared.items():
        key = f"f:{name}"
        if key not in fields:
            return False
        if not _settled(name, value, live.get(name, MISSING), fields[key], _below(others, key)):
            return False
    return True


def _list_is_settled(name: str, declared: list[Any], live: list[Any], fields: _Trie, others: Sequence[_Trie]) -> bool:
    """Items are found by their keys. Their order counts too: a list's items may overrule each other."""
    if len(declared) != len(fields):
        return False
    steps = [(key, step_of(key)) for key in fields]
    places = []
    for item in declared:
        key = next((key for key, step in steps if _fits(step, item)), None)
        place = next((number for number, found in enumerate(live) if key and _fits(step_of(key), found)), None)
        if key is None or place is None or not _settled(name, item, live[place], fields[key], _below(others, key)):
            return False
        places.append(place)
    return places == sorted(set(places))


def _below(others: Sequence[_Trie], key: str) -> Sequence[_Trie]:
    return [trie[key] for trie in others if key in trie] if others else others


def _fits(step: Any, item: Any) -> bool:
    return isinstance(step, Item | Member) and step.fits(item)
