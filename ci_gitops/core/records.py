"""The record of one deployment: what was brought where, from which commit, by whom, and how it ended.

It opens before the first write and is closed whatever happens; a run that was killed leaves it open, and the next run
closes it. `status`, `history`, `why`, promotions and rollbacks read records and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from ci_gitops.core.health import Health, HealthStatus
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.shapes import integer, mapping, one_of, optional, read_json, several, text
from ci_gitops.core.targets import Target

#: `applied` is a deploy that did not wait: a success for what is new, never for a gate.
Outcome = Literal["running", "succeeded", "applied", "failed", "superseded"]
Cause = Literal["deploy", "heal", "rollback", "delete"]
#: Why a run failed. The first four mark its rendered set: it is not tried again by itself; `trouble` passes.
Failing = Literal["degraded", "hook", "check", "rollback", "trouble"]
HookOutcome = Literal["running", "succeeded", "failed", "lost"]
MARKS: frozenset[str] = frozenset(("degraded", "hook", "check", "rollback"))
API_VERSION = "ci-gitops/v1"
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Failure:
    kind: Failing
    message: str
    object: str | None = None  # the one that blocks, as `Key` shows it


@dataclass(frozen=True, slots=True)
class HookRun:
    """A hook that ran in this deployment. `uid` is the object's that was watched."""

    phase: str
    group: str
    kind: str
    namespace: str
    name: str
    uid: str
    outcome: HookOutcome


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the revision came from, as far as Git and CI say."""

    author: str | None = None
    subject: str | None = None
    committed: str | None = None  # RFC 3339
    actor: str | None = None  # who ran the deployment
    pipeline: str | None = None  # its address
    merge_request: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One deployment of one target. Times are RFC 3339 in UTC, to the microsecond where order needs it."""

    name: str  # of the object that keeps it; sorts by start
    target: Target
    source: str
    revision: str
    rendered: str  # hash of the rendered set, hooks included
    outcome: Outcome
    started: str
    finished: str | None = None
    cause: Cause = "deploy"
    images: tuple[str, ...] = ()
    summary: Mapping[Any, int] | None = None  # how many objects were created, updated …
    plan: str | None = None  # the plan's hash
    health: Health | None = None
    failure: Failure | None = None
    hooks: tuple[HookRun, ...] = ()
    origin: Origin = Origin()
    sandbox: str | None = None  # the level of the box around renderers
    attempt: int = 1  # how often this rendered set was tried in a row

    @property
    def closed(self) -> bool:
        return self.outcome != "running"

    @property
    def marks(self) -> bool:
        """Whether its rendered set is not tried again by itself."""
        return self.outcome == "failed" and self.failure is not None and self.failure.kind in MARKS

    @property
    def document(self) -> dict[str, Any]:
        """As `record.json` and the JSON output show it."""
        return {
            "apiVersion": "ci-gitops/v1",
            "kind": "Record",
            "name": self.name,
            "target": {"app": self.target.app, "environment": self.target.environment, "path": self.target.path},
            "source": self.source,
            "revision": self.revision,
            "rendered": self.rendered,
            "outcome": self.outcome,
            "started": self.started,
            "finished": self.finished,
            "cause": self.cause,
            "images": list(self.images),
            "summary": dict(self.summary) if self.summary is not None else None,
            "plan": self.plan,
            "health": {"status": self.health.status, "message": self.health.message} if self.health else None,
            "failure": (
                {"kind": self.failure.kind, "message": self.failure.message, "object": self.failure.object}
                if self.failure
                else None
            ),
            "hooks": [
                {
                    "phase": hook.phase,
                    "group": hook.group,
                    "kind": hook.kind,
                    "namespace": hook.namespace,
                    "name": hook.name,
                    "uid": hook.uid,
                    "outcome": hook.outcome,
                }
                for hook in self.hooks
            ],
            "origin": {
                "author": self.origin.author,
                "subject": self.origin.subject,
                "committed": self.origin.committed,
                "actor": self.origin.actor,
                "pipeline": self.origin.pipeline,
                "mergeRequest": self.origin.merge_request,
            },
            "sandbox": self.sandbox,
            "attempt": self.attempt,
        }


def parse_record(content: str) -> Record:
    """The record that `content` holds as JSON; ValueError says what is wrong with it."""
    document = read_json(content, RECORD_SCHEMA)
    moment(document["started"])
    target, health, failure = document["target"], document["health"], document["failure"]
    origin = {("merge_request" if name == "mergeRequest" else name): document["origin"][name] for name in _ORIGIN}
    return Record(
        name=document["name"],
        target=Target(target["app"], target["environment"], target["path"]),
        source=document["source"],
        revision=document["revision"],
        rendered=document["rendered"],
        outcome=document["outcome"],
        started=document["started"],
        finished=document["finished"],
        cause=document["cause"],
        images=tuple(document["images"]),
        summary=document["summary"],
        plan=document["plan"],
        health=Health(health["status"], health["message"]) if health else None,
        failure=Failure(failure["kind"], failure["message"], failure["object"]) if failure else None,
        hooks=tuple(HookRun(**{field: hook[field] for field in _HOOK}) for hook in document["hooks"]),
        origin=Origin(**origin),
        sandbox=document["sandbox"],
        attempt=document["attempt"],
    )


def open_record(
    inventory: Inventory,
    before: Iterable[Record],
    *,
    now: datetime,
    revision: str,
    rendered: str,
    cause: Cause = "deploy",
    origin: Origin = Origin(),
) -> Record:
    """The record of a deployment that begins; `before` are those of its target.

    It starts after all of them: another machine's clock may go ahead of ours, and order is read from the names.
    """
    earlier = newest_first(before)
    start = max([now, *(moment(record.started) + _TICK for record in earlier[:1])])
    tried = [record for record in earlier if record.cause == cause]
    attempt = tried[0].attempt + 1 if tried and tried[0].rendered == rendered and tried[0].outcome == "failed" else 1
    return Record(
        name=f"{inventory.name}.{start:%Y%m%dt%H%M%S}.{start.microsecond:06}",
        target=inventory.target,
        source=inventory.source,
        revision=revision,
        rendered=rendered,
        outcome="running",
        started=stamp(start),
        cause=cause,
        origin=origin,
        attempt=attempt,
    )


def killed(record: Record, now: datetime) -> Record:
    """An open record whose run is gone, closed: nobody knows how far it came, so nothing is held against it."""
    message = "The run ended without a word: it was killed, or its machine went away. The next pass goes on."
    return replace(record, outcome="failed", finished=stamp(now), failure=Failure("trouble", message))


def recovered(record: Record, now: datetime, health: Health) -> Record:
    """A failed record whose revision is found healthy after all, closed as succeeded."""
    return replace(record, outcome="succeeded", finished=stamp(now), health=health, failure=None)


def newest_first(records: Iterable[Record]) -> tuple[Record, ...]:
    return tuple(sorted(records, key=lambda record: (moment(record.started), record.name), reverse=True))


def last_success(records: Iterable[Record]) -> Record | None:
    """The newest one that was brought to its end; one that did not wait for health counts."""
    return next((each for each in newest_first(records) if each.outcome in ("succeeded", "applied")), None)


def overdue(records: Iterable[Record], limit: int) -> tuple[Record, ...]:
    """The records of one target that may go when `limit` are kept: never an open one nor the last success."""
    ordered = newest_first(records)
    kept = last_success(ordered)
    return tuple(record for record in ordered[limit:] if record.closed and record is not kept)


def stamp(time: datetime) -> str:
    """RFC 3339, as records hold times."""
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond:06}Z"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


_TIME = text(
    "a time as RFC 3339 in UTC", pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
    r"(\.[0-9]{1,6})?(Z|\+00:00)$",
)  # fmt: skip
_ORIGIN = ("author", "subject", "committed", "actor", "pipeline", "mergeRequest")
_HOOK = ("phase", "group", "kind", "namespace", "name", "uid", "outcome")
#: Of `record.json`, as published.
RECORD_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ci-gitops deployment record",
    **mapping(
        {
            "apiVersion": text("The version of this format.", const=API_VERSION),
            "kind": text(const="Record"),
            "name": text("Of the object that keeps it; names of one target sort by start."),
            "target": mapping({"app": text(), "environment": text(), "path": text()}, "What was deployed."),
            "source": text("The config repository, by the name that it goes by in the cluster."),
            "revision": text("The commit of the config repository."),
            "rendered": text("Hash of the rendered set, hooks included."),
            "outcome": one_of(*get_args(Outcome), description="How it ended; running: it has not."),
            "started": _TIME,
            "finished": optional(_TIME),
            "cause": one_of(*get_args(Cause), description="Why it was done."),
            "images": several(text(), "The images that run then."),
            "summary": optional(
                {"type": "object", "description": "How many objects were created, updated …",
                 "additionalProperties": integer()}
            ),
            "plan": optional(text("The plan's hash.")),
            "health": optional(mapping({"status": one_of(*get_args(HealthStatus)), "message": text()})),
            "failure": optional(
                mapping({"kind": one_of(*get_args(Failing)), "message": text(), "object": optional(text())})
            ),
            "hooks": several(
                mapping({field: text() for field in _HOOK[:-1]} | {"outcome": one_of(*get_args(HookOutcome))}),
                "The hooks that ran.",
            ),
            "origin": mapping({field: optional(text()) for field in _ORIGIN}, "Where the revision came from."),
            "sandbox": optional(text("The level of the box around renderers.")),
            "attempt": integer("How often this rendered set was tried in a row."),
        }
    ),
}  # fmt: skip
