"""JSON patches (RFC 6902)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ci_gitops.core.fieldsets import same


class PatchError(Exception):
    """A patch that cannot be made."""


def patched(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """A copy with the operations done, one after the other."""
    made = copy.deepcopy(document)
    for operation in operations:
        made = _done(made, operation)
    return made


def _done(document: Any, operation: Mapping[str, Any]) -> Any:
    name, path = operation.get("op"), _steps(operation.get("path", ""))
    if name == "test":
        if not same(_at(document, path), operation.get("value")):
            raise PatchError(f"testing value {operation.get('path')} failed: test failed")
        return document
    if name in ("move", "copy"):
        source = _steps(operation.get("from", ""))
        value = copy.deepcopy(_at(document, source))
        if name == "move":
            document = _removed(document, source)
        return _added(document, path, value)
    if name == "add":
        return _added(document, path, copy.deepcopy(operation.get("value")))
    if name == "remove":
        return _removed(document, path)
    if name == "replace":
        _at(document, path[:-1])  # a field that is not there is written, as servers do
        return _replaced(document, path, copy.deepcopy(operation.get("value")))
    raise PatchError(f"unexpected kind of operation: {name}")


def _steps(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise PatchError(f"path {pointer!r} must begin with a slash")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def _at(document: Any, path: Sequence[str]) -> Any:
    for step in path:
        document = _child(document, step, path)
    return document


def _child(document: Any, step: str, path: Sequence[str]) -> Any:
    if isinstance(document, dict) and step in document:
        return document[step]
    if isinstance(document, list) and step.isdigit() and int(step) < len(document):
        return document[int(step)]
    raise PatchError(f"doc is missing path: /{'/'.join(path)}: missing value")


def _added(document: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list) and (last == "-" or (last.isdigit() and int(last) <= len(parent))):
        parent.insert(len(parent) if last == "-" else int(last), value)
    else:
        raise PatchError(f"add operation does not apply: doc is missing path: /{'/'.join(path)}")
    return document


def _replaced(document: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        _child(parent, last, path)
        parent[int(last)] = value
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise PatchError(f"replace operation does not apply: doc is missing path: /{'/'.join(path)}")
    return document


def _removed(document: Any, path: Sequence[str]) -> Any:
    if not path:
        return None
    parent, last = _at(document, path[:-1]), path[-1]
    _child(parent, last, path)
    del parent[int(last) if isinstance(parent, list) else last]
    return document
