"""Which hooks run in a deployment: each once for one attempt at a rendered set, whatever was killed in between.

An attempt is a rendered set after the last deployment that succeeded. A hook that is applied carries its attempt in an
annotation, so that a run that died between applying and writing it down is found again by the next one. A set that
comes back after another one succeeded is a new attempt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ci_gitops.core.hooks import Phase
from ci_gitops.core.inventory import Key
from ci_gitops.core.prepared import Prepared
from ci_gitops.core.records import HookOutcome, HookRun, Record
from ci_gitops.core.stages import DEPLOY, order

ATTEMPT = "ci-gitops/attempt"
#: `run` it anew, `skip` what succeeded, `resume` what may still be running, `refuse` what failed.
Decision = Literal["run", "skip", "resume", "refuse"]
_SUCCEEDED = ("succeeded", "applied")


@dataclass(frozen=True, slots=True)
class HookTask:
    """A hook in one phase, as it is sent."""

    phase: Phase
    document: Mapping[str, Any]

    @property
    def key(self) -> Key:
        return Key.of(self.document)

    @property
    def place(self) -> tuple[str, Key]:
        return (self.phase, self.key)

    def ran(self, uid: str, outcome: HookOutcome) -> HookRun:
        key = self.key
        return HookRun(self.phase, key.group, key.kind, key.namespace, key.name, uid, outcome)

    def __str__(self) -> str:
        return f"{self.phase} hook {self.key}"


def attempt_of(rendered: str, records: Iterable[Record]) -> str:
    """What marks an attempt at the set with the hash `rendered`; `records` are the target's, newest first."""
    last = next((record.name for record in records if record.outcome in _SUCCEEDED), "")
    return hashlib.sha256(f"{rendered}\0{last}".encode()).hexdigest()[:16]


def remembered(rendered: str, records: Iterable[Record]) -> dict[tuple[str, Key], HookRun]:
    """What is known of the hooks of this attempt: the newest run of each."""
    found: dict[tuple[str, Key], HookRun] = {}
    for record in records:
        if record.outcome in _SUCCEEDED:
            break
        if record.rendered != rendered:
            continue
        for run in record.hooks:
            found.setdefault((run.phase, Key(run.group, run.kind, run.namespace, run.name)), run)
    return found


def decide(known: HookRun | None, *, again: bool) -> Decision:
    """`again` is what --rerun-hooks asks for, and for a hook that failed --retry."""
    if known is None or known.outcome == "lost" or again:
        return "run"
    if known.outcome == "running":
        return "resume"
    return "skip" if known.outcome == "succeeded" else "refuse"


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of one deployment. `documents` are the objects that are no hooks, whether they need writing or not."""

    phase: Phase
    wave: int
    documents: tuple[Mapping[str, Any], ...]
    hooks: tuple[HookTask, ...]


def steps_of(
    prepared: Prepared, attempt: str, *, installing: bool, phases: Collection[Phase] = DEPLOY
) -> tuple[Step, ...]:
    """The order in which a target is deployed. `installing` is its first deployment, which hooks of Helm ask for."""
    hooks = {id(hook.document): hook for hook in prepared.hooks}
    stages = order(
        [*prepared.documents, *(hook.document for hook in prepared.hooks)], installing=installing, phases=phases
    )
    steps = []
    for stage in stages:
        # A hook of two phases was prepared for each of them, and is ordered into both each time.
        tasks = (
            HookTask(stage.phase, _marked(document, attempt))
            for document in stage
            if (hook := hooks.get(id(document))) is not None and hook.phase == stage.phase
        )
        objects = tuple(document for document in stage if id(document) not in hooks)
        steps.append(Step(stage.phase, stage.wave, objects, tuple(tasks)))
    return tuple(step for step in steps if step.documents or step.hooks)


def _marked(document: Mapping[str, Any], attempt: str) -> Mapping[str, Any]:
    metadata = document["metadata"]
    annotations = {**(metadata.get("annotations") or {}), ATTEMPT: attempt}
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def attempt_in(document: Mapping[str, Any]) -> str | None:
    """The attempt that applied a live hook."""
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    found = annotations.get(ATTEMPT)
    return found if isinstance(found, str) else None
