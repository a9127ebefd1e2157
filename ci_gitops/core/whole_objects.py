"""Objects that are kept whole, each in a file: who owns their fields, and how the file is called.

A folder of manifests has no server that records owners. What stands in a file is what was declared, so our manager
owns exactly that; said as `managedFields`, it lets `core/differences.py` and `core/settled.py` judge a folder as they
judge a cluster: a field that a person added to a file is drift, one that left Git is taken out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ci_gitops.core.inventory import Key

#: By what the items of a list are told apart, the first that fits: as server-side apply does for built-in kinds.
_KEYS = (("name",), ("mountPath",), ("containerPort", "protocol"), ("port", "protocol"))
_NOBODYS = ("apiVersion", "kind")
_NOBODYS_METADATA = ("name", "namespace", "creationTimestamp", "managedFields", "resourceVersion", "uid")
_PLAIN = re.compile(r"[A-Za-z0-9.-]*")


def owned_whole(document: Mapping[str, Any], manager: str, **metadata: str) -> dict[str, Any]:
    """The document as a server would answer it: all of its fields are the manager's; `metadata` comes on top."""
    entry = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": document.get("apiVersion"),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields_of(document),
    }
    return {**document, "metadata": {**document["metadata"], **metadata, "managedFields": [entry]}}


def fields_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The FieldsV1 trie of all that a document declares."""
    declared = {key: value for key, value in document.items() if key not in _NOBODYS}
    metadata = {key: value for key, value in document["metadata"].items() if key not in _NOBODYS_METADATA}
    return _trie({**{key: value for key, value in declared.items() if key != "metadata"}, **_given(metadata)})


def _given(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {"metadata": metadata} if metadata else {}


def _trie(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {f"f:{name}": _trie(below) for name, below in value.items()}
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return {key: _trie(item) for key, item in zip(_places(value), value, strict=True)}
    return {}


def _places(items: Sequence[Any]) -> list[str]:
    """What marks each item: its keys, where they tell all of them apart; else its place, so that nothing is hidden."""
    for names in _KEYS:
        if all(isinstance(item, Mapping) and all(_is_key(item.get(name)) for name in names) for item in items):
            keys = [_json({name: item[name] for name in names}) for item in items]
            if len(set(keys)) == len(keys):
                return [f"k:{key}" for key in keys]
    return [f"i:{place}" for place in range(len(items))]


def _is_key(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def file_name(document: Mapping[str, Any]) -> str:
    """`[NAMESPACE_][GROUP_]VERSION_KIND_NAME.yaml`, as `kustomize build -o FOLDER` names them.

    A name that no file may have ends in a hash, so that two of them never meet.
    """
    key = Key.of(document)
    parts = (key.namespace, *str(document["apiVersion"]).split("/"), key.kind.lower(), key.name)
    kept = "_".join(re.sub(r"[^A-Za-z0-9.-]", "-", part) for part in parts if part)
    if len(kept) > 200 or not all(map(_PLAIN.fullmatch, parts)):
        kept = f"{kept[:200]}-{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:8]}"
    return f"{kept}.yaml"
