"""The plan of one target: what a deploy would do to each object, and the work that follows from it.

An object that is settled needs no request, nor does one that is not there in a plain deploy. Every other one is
applied in a dry run, several at a time, and the server's answer is compared with what is live. What the server refuses
is its own state with the server's words: it is never taken for one that is in sync.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property

from ci_gitops.adapters.cluster.base import FIELD_MANAGER, ApiError, Cluster, Document
from ci_gitops.core.autoscaling import REPLICAS, Workload, is_autoscaled, leave_replicas
from ci_gitops.core.conflicts import claim
from ci_gitops.core.differences import (
    Compared,
    Difference,
    Operation,
    created,
    recreated,
    skipped,
    unchanged,
    unknown,
    updated,
)
from ci_gitops.core.equivalence import is_no_change
from ci_gitops.core.fieldsets import MISSING, text, value_at
from ci_gitops.core.forthcoming import Forthcoming
from ci_gitops.core.ignoring import Rule, leave, without
from ci_gitops.core.immutable import is_immutable, may_recreate
from ci_gitops.core.inventory import Inventory, Key
from ci_gitops.core.migration import leaving, migrated, outdated
from ci_gitops.core.ownership import Holders, holding
from ci_gitops.core.plan import Plan, make_plan
from ci_gitops.core.prepared import Prepared, PreparedHook
from ci_gitops.core.records import Record
from ci_gitops.core.secret_values import Placeholders
from ci_gitops.core.settled import is_settled
from ci_gitops.errors import CiGitopsError, ClusterError, RefusedError, TemporaryError
from ci_gitops.steps.observing import Live

_AT_ONCE = 4  # more gain nothing: the server's own work decides
_FOR_TRIAL = "default"  # where objects are tried whose namespace is only planned
_SKIPPED = "its annotation says that it is left alone"
_NAMED_BY_CONTENT = {"APIService", "CustomResourceDefinition"}  # which no other name would fit


@dataclass(frozen=True, slots=True)
class Work:
    """One thing to do. `document` is what is sent, `live` what was seen; `force` takes fields of other managers."""

    key: Key
    operation: Operation  # create, update or delete
    document: Document | None = field(repr=False)
    live: Document | None = field(repr=False)
    compared: Compared = field(repr=False)
    force: bool = False
    recreate: bool = False  # deleted first: a field cannot be changed in place
    adopted: bool = False  # nobody owned it: fields of older managers are moved to ours
    drift: bool = False  # nothing new in Git: somebody changed it
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of a target, the work that it means, and what stands in its way.

    `troubles` are objects that belong to others (5), that could not be compared, or that cannot be changed (1, 75).
    """

    prepared: Prepared
    plan: Plan
    work: tuple[Work, ...]
    hooks: tuple[PreparedHook, ...] = ()  # those that a deploy would run
    new: bool = True  # whether the rendered set is another than that of the last record that succeeded
    compared: tuple[Compared, ...] = field(default=(), repr=False)  # behind each change of the plan, unmasked
    troubles: tuple[CiGitopsError, ...] = ()

    @property
    def drifted(self) -> bool:
        return any(each.drift for each in self.work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which terms all targets of a pass are planned."""

    try_new: bool = False  # dry runs of new objects too, as `diff` does
    take_over: bool = False
    recreate: frozenset[str] = frozenset()  # kinds, or `any`
    autoscaled: frozenset[Workload] = frozenset()
    forthcoming: Forthcoming = field(default_factory=Forthcoming)
    holders: Holders = field(default_factory=Holders)
    key: bytes | None = None  # of secrets' digests in the hash
    placeholders: Placeholders = field(default_factory=Placeholders)


@dataclass
class Past:
    """What the last records say of a target. `applied` renders what the last one applied, where that is asked."""

    succeeded: Record | None = None
    applied: Callable[[], Iterable[Document]] | None = None

    @cached_property
    def _documents(self) -> Mapping[Key, Document]:
        return {Key.of(document): document for document in self.applied()} if self.applied else {}

    def document(self, key: Key) -> Document | None:
        return self._documents.get(key)


@dataclass(frozen=True, slots=True)
class _Found:
    """One object, compared."""

    compared: Compared
    work: Work | None = None
    trouble: CiGitopsError | None = None


def plan_target(
    cluster: Cluster,
    prepared: Prepared,
    live: Live,
    *,
    inventory: Inventory,
    terms: Terms,
    rules: Iterable[Rule] = (),
    past: Past | None = None,
    deletes: Iterable[Compared] = (),
) -> Planned:
    """Compare what a target declares with what is live. `deletes` is what prune decided (core/pruning.py)."""
    past = past or Past()
    new = past.succeeded is None or past.succeeded.rendered != prepared.rendered
    comparing = _Comparing(cluster, live, inventory, terms, tuple(rules), past, new)
    found = comparing.all(prepared.documents)
    found += [_Found(skipped(document, _SKIPPED)) for document in prepared.skipped]
    found += [_removed(compared) for compared in deletes]
    hooks = _hooks(prepared, installing=past.succeeded is None) if new else ()
    plan = make_plan(
        prepared.target,
        [each.compared for each in found],
        hooks=[(hook.phase, hook.document) for hook in hooks],
        notes=(*prepared.warnings, *_going(prepared, live)),
        key=terms.key,
        placeholders=terms.placeholders,
    )
    return Planned(
        prepared,
        plan,
        tuple(each.work for each in found if each.work),
        hooks,
        new,
        tuple(each.compared for each in found),
        tuple(each.trouble for each in found if each.trouble),
    )


def _going(prepared: Prepared, live: Live) -> Iterator[str]:
    """What may be gone when the deploy is done, whatever is applied to it."""
    for key in map(Key.of, prepared.documents):
        if value_at(live.get(key), ("metadata", "deletionTimestamp")) is not MISSING:
            yield f"{key} is being deleted: it is made again only when it is gone."


def _hooks(prepared: Prepared, *, installing: bool) -> tuple[PreparedHook, ...]:
    """Those of a deploy that goes well."""
    phases = ("PreSync", "Sync", "PostSync")
    return tuple(hook for hook in prepared.hooks if hook.phase in phases and hook.runs(installing=installing))


def _removed(compared: Compared) -> _Found:
    live = compared.document
    key = Key.of(live)
    if compared.operation != "delete":
        return _Found(compared)
    return _Found(compared, Work(key, "delete", None, live, compared, reason=compared.reason))


@dataclass(frozen=True)
class _Case:
    """One object to compare: declared, live, and what is sent for it."""

    key: Key
    declared: Document
    live: Document | None
    sent: Document
    notes: tuple[str, ...] = ()
    adopted: bool = False


@dataclass
class _Comparing:
    """The objects of one target, compared: at once where that is certain, else by asking the server."""

    cluster: Cluster
    live: Live
    inventory: Inventory
    terms: Terms
    rules: tuple[Rule, ...]
    past: Past
    new: bool

    def all(self, documents: Iterable[Document]) -> list[_Found]:
        """In the order of `documents`."""
        found: list[_Found | _Case] = [self._at_once(document) for document in documents]
        cases = [each for each in found if isinstance(each, _Case)]
        if not cases:
            return [each for each in found if isinstance(each, _Found)]
        with ThreadPoolExecutor(_AT_ONCE, "plan") as pool:
            answers = pool.map(self._asked, cases)
            return [next(answers) if isinstance(each, _Case) else each for each in found]

    def _at_once(self, declared: Document) -> _Found | _Case:
        """What needs no request; else the case to ask about."""
        key = Key.of(declared)
        if trouble := self.live.trouble(key):
            kind = TemporaryError if isinstance(trouble, TemporaryError) else ClusterError
            return self._failed(declared, kind(f"{key} cannot be compared: {trouble.message}", hint=trouble.hint))
        live = self.live.get(key)
        if live is None:
            return self._absent(key, declared)
        holder = holding(live, self.inventory, self.terms.holders)
        if holder not in ("ours", "nobody"):
            return self._failed(declared, RefusedError(
                f"{key} belongs to {holder}.",
                hint="Take it out of one of the two. What somebody else deploys is never taken over.",
            ))  # fmt: skip
        after = migrated(live, FIELD_MANAGER) if holder == "nobody" else live
        left = leave(declared, live, self.rules, FIELD_MANAGER, after=after)
        if left.sent is None:
            return _Found(skipped(declared, "; ".join(left.notes)))
        sent = leave_replicas(left.sent, after, self.terms.autoscaled, FIELD_MANAGER)
        notes = left.notes + self._left_replicas(declared, live)
        if live.get("apiVersion") == declared["apiVersion"] and is_settled(sent, live, FIELD_MANAGER):
            return _Found(replace(unchanged(live), reason="; ".join(notes) or None))
        return _Case(key, declared, live, sent, notes, holder == "nobody")

    def _left_replicas(self, declared: Document, live: Document | None) -> tuple[str, ...]:
        replicas = value_at(declared, REPLICAS)
        if replicas is MISSING or not is_autoscaled(declared, self.terms.autoscaled):
            return ()
        is_other = live is None or value_at(live, REPLICAS) != replicas
        return ("spec.replicas is left to its autoscaler",) if is_other else ()

    def _absent(self, key: Key, declared: Document) -> _Found | _Case:
        left = leave(declared, None, self.rules, FIELD_MANAGER)
        if left.sent is None:
            return _Found(skipped(declared, "; ".join(left.notes)))
        sent = leave_replicas(left.sent, None, self.terms.autoscaled, FIELD_MANAGER)
        notes = left.notes + self._left_replicas(declared, None)
        if (key.group, key.kind) in self.live.unserved:
            if self.terms.forthcoming.namespaced(str(declared["apiVersion"]), key.kind) is None:
                return self._failed(declared, ClusterError(
                    f"{self.cluster} knows no kind {key.kind} in {declared['apiVersion']} (for {key}).",
                    hint="Is its CustomResourceDefinition installed, and does the apiVersion fit the cluster?",
                ))  # fmt: skip
            notes += ("its CustomResourceDefinition is only planned, so the server could not be asked",)
            return self._created(_Case(key, declared, None, sent, notes))
        if key.namespace in self.live.missing_namespaces - self.terms.forthcoming.namespaces:
            return self._failed(declared, ClusterError(
                f"{key}: the namespace {key.namespace!r} is not there.",
                hint="Declare it in the target, or set `createNamespace: true` for the environment.",
            ))  # fmt: skip
        case = _Case(key, declared, None, sent, notes)
        return case if self.terms.try_new else self._created(case)

    def _created(self, case: _Case) -> _Found:
        compared = replace(created(case.sent), reason="; ".join(case.notes) or None, drift=not self.new)
        return _Found(compared, self._work(case, compared))

    def _work(self, case: _Case, compared: Compared, *, force: bool = False, recreate: bool = False) -> Work:
        return Work(
            case.key,
            compared.operation,
            case.sent,
            case.live,
            compared,
            force=force,
            recreate=recreate,
            adopted=case.adopted,
            drift=compared.drift,
            reason=compared.reason,
        )

    def _asked(self, case: _Case) -> _Found:
        """What the server says of applying it."""
        try:
            return self._tried(case) if case.live is None else self._dry_run(case, case.live)
        except (ApiError, TemporaryError) as error:
            return self._failed(case.declared, error)

    def _dry_run(self, case: _Case, live: Document) -> _Found:
        if live.get("apiVersion") != case.sent["apiVersion"]:  # another target declares it in another version
            live = self._in_version(case, live)
        try:
            answer = self.cluster.apply(case.sent, dry_run=True, force=True)
        except ApiError as error:
            if outdated(error.message):
                return self._outdated(case, live)
            if not is_immutable(error.status, error.message):
                raise
            return self._immutable(case, error)
        compared = updated(live, answer, FIELD_MANAGER)
        if case.adopted:
            gone = leaving(live, answer, FIELD_MANAGER)
            going = tuple(Difference(path, value_at(live, path), MISSING) for path in gone)
            operation: Operation = "update" if gone else compared.operation
            after = without(compared.document, gone, None, FIELD_MANAGER) if gone else compared.document
            differences = (*compared.differences, *going)
            compared = replace(compared, document=after, operation=operation, differences=differences, live=live)
        return self._compared(case, compared)

    def _in_version(self, case: _Case, live: Document) -> Document:
        """The live object in the version in which it is declared, so that the answer can be held against it."""
        resource = self.cluster.resource(str(case.sent["apiVersion"]), case.key.kind)
        found = resource and self.cluster.get(resource, case.key.namespace, case.key.name)
        return found or live

    def _outdated(self, case: _Case, live: Document) -> _Found:
        """What was recorded in another version of the API keeps the server from answering until it is written anew."""
        version = case.sent["apiVersion"]
        reason = f"its fields were applied in another version than {version} and are moved first"
        compared = replace(recreated(live, case.sent, reason), live=None, drift=not self.new)
        return _Found(compared, self._work(case, compared))

    def _tried(self, case: _Case) -> _Found:
        """An object that is not there yet: the server judges it, under another name where its namespace is planned."""
        if case.key.namespace in self.live.missing_namespaces:
            note = f"its namespace is only planned, so it was tried in {_FOR_TRIAL!r}"
            self._try_under_another_name(case, namespace=_FOR_TRIAL)
            return self._created(replace(case, notes=(*case.notes, note)))
        self.cluster.apply(case.sent, dry_run=True)
        return self._created(case)

    def _try_under_another_name(self, case: _Case, **metadata: str) -> None:
        """ApiError where the server would not take it."""
        name = f"{case.key.name[:40].rstrip('-.')}-{secrets.token_hex(4)}"
        named = {**case.sent["metadata"], **metadata, "name": name}
        self.cluster.apply({**case.sent, "metadata": named}, dry_run=True)

    def _compared(self, case: _Case, compared: Compared) -> _Found:
        """The server's answer, judged: what is no change, what is taken from whom, what is a conflict."""
        same = [each.path for each in compared.differences if is_no_change(case.declared, each)]
        differences = tuple(each for each in compared.differences if each.path not in same)
        if same:
            case = replace(case, sent=without(case.sent, same, None, FIELD_MANAGER))
            case = replace(case, notes=(*case.notes, *(f"{text(path)} means the same" for path in same)))
        if not differences and compared.reason is None:
            return _Found(Compared(compared.document, "unchanged", reason="; ".join(case.notes) or None))
        claims = claim(
            differences,
            settled_before=not self.new,
            before=lambda: self.past.document(case.key),
            adopted=case.adopted,
            take_over=self.terms.take_over,
        )
        words = (*((("adopts it: nobody owns it",)) if case.adopted else ()), *claims.taken, *case.notes)
        if compared.reason:
            words = (*words, compared.reason)
        if claims.conflicts:
            conflict = replace(
                compared,
                operation="unknown",
                differences=differences,
                reason="conflict: " + "; ".join(claims.conflicts),
            )
            trouble = ClusterError(
                f"{case.key}: {'; '.join(claims.conflicts)}, and we never applied that.",
                hint="Take the fields out of Git, leave them by `ignore`, or pass --take-over.",
            )
            return _Found(conflict, None, trouble)
        reason = "; ".join(words) or None
        judged = replace(compared, differences=differences, reason=reason, drift=not self.new)
        return _Found(judged, self._work(case, judged, force=claims.force))

    def _failed(self, document: Document, error: CiGitopsError) -> _Found:
        """An object that could not be compared, in the server's words without its secrets."""
        error.message = self.terms.placeholders.conceal(error.message, document)
        words = error.message.removeprefix(f"{Key.of(document)}: ")
        return _Found(unknown(document, words), None, error)

    def _immutable(self, case: _Case, error: ApiError) -> _Found:
        """A field that cannot be changed in place: created again where the call names the kind."""
        assert case.live is not None
        kind = case.key.kind
        again = recreated(case.live, case.sent, "is deleted and created again: a field cannot be changed in place")
        if not may_recreate(kind, self.terms.recreate):
            error.hint = f"A field of it cannot be changed in place: --recreate {kind} deletes it and creates it again."
            failed = self._failed(case.declared, error)
            compared = replace(again, operation="unknown", reason=failed.compared.reason)
            return replace(failed, compared=compared)
        if kind not in _NAMED_BY_CONTENT:
            self._try_under_another_name(case)  # before the old one is gone
        compared = replace(again, drift=not self.new)
        return _Found(compared, self._work(case, compared, force=True, recreate=True))
