"""Whether a live object already is what a manifest declares, told without asking the server.

It is when every declared value is the live one and what our manager owns is exactly what is declared: applying it
would then change nothing. The trie of owned fields shows how the server merges (a list by keys, as a set, as a
whole), so that no schema is needed. "No" only means that the server must be asked, by a dry run; a wrong "yes" would
hide a difference, so whatever is not plain is a "no". The plan of an environment asks this first for every object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci_gitops.core.fieldsets import MISSING, Item, Member, applied, same, step_of

# What nobody owns: the names of an object, and what the server alone writes.
_NOBODYS = ("apiVersion", "kind", "status")
_NOBODYS_METADATA = ("name", "namespace", "creationTimestamp")


def is_settled(manifest: Mapping[str, Any], live: Mapping[str, Any], manager: str) -> bool:
    """Whether applying `manifest` as `manager` is known to leave `live` as it is."""
    entry = applied(live, manager)
    if entry is None or entry.api_version != manifest.get("apiVersion"):
        return False
    declared = {key: value for key, value in manifest.items() if key not in _NOBODYS}
    metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key not in _NOBODYS_METADATA}
    declared["metadata"] = metadata
    if not metadata:
        del declared["metadata"]
    fields = {key: trie for key, trie in entry.fields.items() if key != "f:status"}
    return _map_is_settled(declared, live, fields)


def _settled(declared: Any, live: Any, fields: Mapping[str, Any]) -> bool:
    below = {key: trie for key, trie in fields.items() if key != "."}
    if not below:
        return _value_is_settled(declared, live)
    if isinstance(declared, Mapping):
        return isinstance(live, Mapping) and _map_is_settled(declared, live, below)
    if isinstance(declared, list):
        return isinstance(live, list) and _list_is_settled(declared, live, below)
    return False


def _value_is_settled(declared: Any, live: Any) -> bool:
    """A field that we own and that is not there was given empty: the server drops what is empty from its answers."""
    if live is MISSING:
        return not declared
    return declared is not None and same(declared, live)


def _map_is_settled(declared: Mapping[str, Any], live: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    if {f"f:{name}" for name in declared} != fields.keys():
        return False
    return all(_settled(value, live.get(name, MISSING), fields[f"f:{name}"]) for name, value in declared.items())


def _list_is_settled(declared: list[Any], live: list[Any], fields: Mapping[str, Any]) -> bool:
    """Items are found by their keys. Their order counts too: a list's items may overrule each other."""
    if len(declared) != len(fields):
        return False
    steps = [(step_of(key), trie) for key, trie in fields.items()]
    places = []
    for item in declared:
        step, trie = next(((step, trie) for step, trie in steps if _fits(step, item)), (None, None))
        place = next((number for number, found in enumerate(live) if _fits(step, found)), None)
        if trie is None or place is None or not _settled(item, live[place], trie):
            return False
        places.append(place)
    return places == sorted(set(places))


def _fits(step: Any, item: Any) -> bool:
    return isinstance(step, Item | Member) and step.fits(item)
