"""The record of one deployment: what was brought where, from which commit, by whom, and how it ended.

It opens before the first write and is closed whatever happens; a run that was killed leaves it open, and the next run
closes it. `status`, `history`, `why`, promotions and rollbacks read records and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ci_gitops.core.health import Health
from ci_gitops.core.targets import Target

#: `applied` is a deploy that did not wait: a success for what is new, never for a gate.
Outcome = Literal["running", "succeeded", "applied", "failed", "superseded"]
Cause = Literal["deploy", "heal", "rollback", "delete"]
#: Why a run failed. The first four mark its rendered set: it is not tried again by itself; `trouble` passes.
Failing = Literal["degraded", "hook", "check", "rollback", "trouble"]
HookOutcome = Literal["running", "succeeded", "failed", "lost"]
MARKS: frozenset[str] = frozenset(("degraded", "hook", "check", "rollback"))


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
    summary: Mapping[str, int] | None = None
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
