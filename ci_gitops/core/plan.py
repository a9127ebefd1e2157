"""A plan: what a deploy would do to one target, with a hash by which a reviewed plan is known again.

The hash covers the target, each object's identity, the operation, and old and new values of the fields. It does not
know the revision, so that the plan that was reviewed on a merge request is still the plan after the merge. Secrets
enter it as keyed digests, and a plan is masked when it is made: it can be shown, stored and sent as it is.
`diff` shows plans and writes them to a file; `deploy --plan` makes its own and compares the hash.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci_gitops.core.differences import Compared, Difference, Operation, created
from ci_gitops.core.fieldsets import MISSING, text
from ci_gitops.core.lazily import Lazily
from ci_gitops.core.secret_values import Placeholders, plain
from ci_gitops.core.targets import Target

API_VERSION = "ci-gitops/v1"
LIVE = "live"
OPERATIONS: tuple[Operation, ...] = ("create", "update", "delete", "unchanged", "skipped", "unknown")
_EFFECTS: tuple[Operation, ...] = ("create", "update", "delete", "unknown")  # what a reviewer agrees to
_WHOLE_FLOAT = re.compile(r"[0-9](?:\.0|e\+[0-9]+)(?![0-9.])")  # or text that looks like one, which is no harm
_NO_KEY = "Values of Secrets are not part of the hash: there is no plan key."


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """How an object is named."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Identity:
        metadata = document.get("metadata") or {}
        return cls(
            document.get("apiVersion", ""), document.get("kind", ""), metadata.get("namespace") or "",
            metadata.get("name") or metadata.get("generateName") or "",
        )  # fmt: skip

    @property
    def document(self) -> dict[str, str | None]:
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace or None,
            "name": self.name,
        }

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Field:
    """One field that changes, as it may be shown; None is a value that is not there."""

    path: str
    old: Any
    new: Any
    manager: str | None

    @property
    def document(self) -> dict[str, Any]:
        return {"path": self.path, "old": self.old, "new": self.new, "manager": self.manager}


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to one object, and why where that needs a word."""

    object: Identity
    operation: Operation
    fields: Sequence[Field] = ()
    reason: str | None = None
    drift: bool = False  # nothing new in Git: somebody changed the object

    @property
    def document(self) -> dict[str, Any]:
        return {
            "object": self.object.document,
            "operation": self.operation,
            "fields": [field.document for field in self.fields],
            "reason": self.reason,
            "drift": self.drift,
        }


@dataclass(frozen=True, slots=True)
class PlannedHook:
    """A hook that a deploy would run."""

    phase: str
    object: Identity

    @property
    def document(self) -> dict[str, Any]:
        return {"phase": self.phase, "object": self.object.document}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deploy would do to one target. `notes` are what a reviewer should know of it."""

    target: Target
    hash: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    hooks: tuple[PlannedHook, ...] = ()

    @property
    def summary(self) -> dict[Operation, int]:
        counted = Counter(change.operation for change in self.changes)
        return {name: counted[name] for name in OPERATIONS}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done and nothing is in doubt."""
        return not self.hooks and not any(change.operation in _EFFECTS for change in self.changes)

    @property
    def document(self) -> dict[str, Any]:
        return {
            "target": {"app": self.target.app, "environment": self.target.environment},
            "hash": self.hash,
            "summary": dict(self.summary),
            "changes": [change.document for change in self.changes],
            "hooks": [hook.document for hook in self.hooks],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class PlanList:
    """The plans of an environment's targets at one revision."""

    environment: str
    revision: str
    plans: tuple[Plan, ...]
    source: str | None = None  # the config repository, by the name that it goes by in the cluster
    against: str = LIVE  # or the revision that is compared with, without a cluster

    @property
    def hash(self) -> str:
        """Of the plans that do something, in no order: a target that is in sync changes nothing of what was agreed."""
        return list_hash(plan.hash for plan in self.plans if not plan.is_empty)

    @property
    def summary(self) -> dict[Operation, int]:
        return {name: sum(plan.summary[name] for plan in self.plans) for name in OPERATIONS}

    @property
    def is_empty(self) -> bool:
        return all(plan.is_empty for plan in self.plans)

    @property
    def document(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "revision": self.revision,
            "hash": self.hash,
            "plans": [plan.document for plan in self.plans],
            "source": self.source,
            "against": self.against,
        }


def list_hash(hashes: Iterable[str]) -> str:
    """Of several plans, by theirs."""
    return _digest(sorted(hashes))


def make_plan(
    target: Target,
    compared: Iterable[Compared],
    *,
    hooks: Sequence[tuple[str, Mapping[str, Any]]] = (),
    notes: Sequence[str] = (),
    key: bytes | None = None,
    placeholders: Placeholders | None = None,
) -> Plan:
    """The plan of `target`; each object that lives in a namespace names it. `hooks` are those that would run, with
    their phases.

    `key` is for the digests of Secrets' values; without one only their names and the operation count.
    `placeholders` are shared by the plans of one run, so that equal values look equal in all of them.
    """
    all_of_them = list(compared)
    hidden = placeholders or Placeholders()
    identified = [(Identity.of(each.document), each) for each in all_of_them]
    without_key = key is None and any(
        hidden.hides(each.document, difference.path)
        for each in all_of_them
        if hidden.touches(each.document)
        for difference in each.differences
    )
    return Plan(
        target,
        _hash(target, identified, hooks, hidden, key),
        tuple(_change(identity, each, hidden) for identity, each in identified),
        (*notes, _NO_KEY) if without_key else tuple(notes),
        tuple(PlannedHook(phase, Identity.of(document)) for phase, document in hooks),
    )


def _change(identity: Identity, compared: Compared, hidden: Placeholders) -> Change:
    document = compared.document
    fields: Sequence[Field] = (
        Lazily(lambda: _fields(compared, hidden)) if _is_plain(compared, hidden) else tuple(_fields(compared, hidden))
    )
    reason = hidden.conceal(compared.reason, document) if compared.reason else None
    return Change(identity, compared.operation, fields, reason, compared.drift)


def _is_plain(compared: Compared, hidden: Placeholders) -> bool:
    """A new object without secrets: its document stands for its fields."""
    return compared.operation == "create" and not hidden.touches(compared.document)


def _fields(compared: Compared, hidden: Placeholders) -> list[Field]:
    document = compared.document
    return [
        Field(
            text(each.path),
            _value(hidden.shown(document, each.path, each.old)),
            _value(hidden.shown(document, each.path, each.new)),
            each.manager,
        )
        for each in compared.differences
    ]


def _value(value: Any) -> Any:
    return None if value is MISSING else value


def _hash(
    target: Target,
    compared: Iterable[tuple[Identity, Compared]],
    hooks: Sequence[tuple[str, Mapping[str, Any]]],
    hidden: Placeholders,
    key: bytes | None,
) -> str:
    """In no order of objects: that may depend on how they were rendered."""
    changes = [
        [identity.document, each.operation, _agreed_fields(each, hidden, key)]
        for identity, each in sorted(compared, key=lambda pair: pair[0])
        if each.operation in _EFFECTS
    ]
    runs = sorted([phase, _canonical(Identity.of(document).document), *_content(document, hidden, key)]
                  for phase, document in hooks)  # fmt: skip
    return _digest([target.app, target.environment, changes, *([runs] if runs else [])])


def _agreed_fields(compared: Compared, hidden: Placeholders, key: bytes | None) -> list[Any]:
    if _is_plain(compared, hidden):
        return [_canonical(compared.document)]
    return sorted(_agreed(compared, difference, hidden, key) for difference in compared.differences)


def _content(document: Mapping[str, Any], hidden: Placeholders, key: bytes | None) -> list[str]:
    """All that a hook declares, as it enters the hash."""
    whole = created(document)
    return sorted("\0".join(_agreed(whole, each, hidden, key)) for each in whole.differences)


def _agreed(compared: Compared, difference: Difference, hidden: Placeholders, key: bytes | None) -> list[str]:
    """A field and its two values, as they enter the hash."""
    shown = [text(difference.path)]
    for value in (difference.old, difference.new):
        if value is MISSING:
            shown.append("")
        elif not hidden.hides(compared.document, difference.path):
            shown.append("=" + _canonical(value))
        elif key is None:
            shown.append("hidden")
        else:
            shown.append("hmac " + hmac.digest(key, plain(difference.path, value), "sha256").hex())
    return shown


def _digest(content: Any) -> str:
    return "sha256:" + hashlib.sha256(_canonical(content).encode(errors="surrogatepass")).hexdigest()


def _canonical(value: Any) -> str:
    dumped = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    if not _WHOLE_FLOAT.search(dumped):
        return dumped
    return json.dumps(_numbers(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _numbers(value: Any) -> Any:
    """The same value with 1.0 as 1: JSON has one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _numbers(inner) for key, inner in value.items()}
    return [_numbers(inner) for inner in value] if isinstance(value, list | tuple) else value
