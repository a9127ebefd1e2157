"""One writer at a time: a Lease of the cluster, held as leader election holds it.

Clocks of other machines are not trusted: a Lease of somebody else counts as given up when it was seen unchanged for
its whole time on our own clock (https://kubernetes.io/docs/concepts/architecture/leases/). Every write names the
version that was read, so that of two who reach for it one gets it. A holder that was paused finds that out before
its next stage: `check` renews what was not renewed for too long, and that fails where another took it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, RLock, Thread
from typing import Any

from ci_gitops.adapters.cluster.base import ApiError, Cluster, Document, Resource
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.core.text import plain
from ci_gitops.errors import CiGitopsError, TemporaryError

LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", namespaced=True)
SECONDS = 15
RENEW_EVERY = 5.0
RENEW_WITHIN = 10.0  # older than this it is renewed before anything is written
SAID_BY = "ci-gitops/holder"  # annotation: the holder for people
WAITING = "ci-gitops/waiting"  # annotation: the newest revision that somebody waits with, and its time
_LOOK_EVERY = 1.0
_LONGEST = 60


def steady() -> float:
    """Seconds that also pass while the machine sleeps, where the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes: unlike anybody else, and as people know them."""

    identity: str
    said: str
    revision: str = ""  # what it brings, and when that was committed: somebody with something newer goes first
    time: int = 0


@dataclass(slots=True)
class Lease:
    """The right to write what `subject` names, taken with `take` and kept by a thread until `release`."""

    cluster: Cluster
    namespace: str
    name: str
    holder: Holder
    subject: str  # as messages name it
    labels: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = steady
    _held: Document | None = None
    _renewed: float = 0.0
    _lost: str | None = None
    _lock: RLock = field(default_factory=RLock)
    _stop: Event = field(default_factory=Event)
    _keeper: Thread | None = None

    def take(self, deadline: Deadline, tell: Callable[[str], None], pause: Callable[[float], None]) -> None:
        """Wait for it until the deadline; TemporaryError then names who has it."""
        seen: object = None
        since, told = 0.0, False
        while True:
            began = self.clock()
            live = self.cluster.get(LEASES, self.namespace, self.name)
            if (state := _state(live)) != seen:
                seen, since = state, began
            if self._is_free(live, began - since):
                if self._write(live, began):
                    return
                live = self.cluster.get(LEASES, self.namespace, self.name)  # somebody was quicker
            who = _who(live)
            if deadline.over:
                raise TemporaryError(
                    f"{self.subject}: {who} is writing to it now.", hint="Try again when that run has ended."
                )
            self._say_that_we_wait(live)
            if not told:
                tell(f"{self.subject}: waiting for {who}")
                told = True
            pause(min(_LOOK_EVERY, deadline.left()))

    def keep(self) -> None:
        """Renew it from now on, beside what is done meanwhile."""
        self._keeper = Thread(target=self._renew_again_and_again, name=f"lease {self.name}", daemon=True)
        self._keeper.start()

    def check(self) -> None:
        """TemporaryError where it is not ours any more, or where that cannot be known."""
        with self._lock:
            if self._lost is None and self.clock() - self._renewed > RENEW_WITHIN:
                self.renew()
            if self._lost is not None:
                raise TemporaryError(
                    f"{self.subject}: {self._lost} writes to it now; this run was held up too long and stops.",
                    hint="Run it again: it goes on from what is there.",
                )

    def superseded(self) -> str | None:
        """A newer revision that another run waits with; None where there is none, as far as the last renewal knows."""
        with self._lock:
            revision, committed = _waiting(self._held)
        return revision if committed > self.holder.time > 0 else None

    def renew(self) -> None:
        """Once. An error of the cluster says nothing of whose it is; that another has it is remembered."""
        with self._lock:
            began = self.clock()
            if self._lost is not None or self._write(self._held, began):
                return
            live = self.cluster.get(LEASES, self.namespace, self.name)
            if _spec(live).get("holderIdentity") != self.holder.identity:
                self._lost = _who(live)
            elif not self._write(live, began):  # somebody wrote something else into it
                raise TemporaryError(f"{self.subject}: the Lease {self.namespace}/{self.name} cannot be renewed.")

    def release(self, *, remove: bool = False) -> None:
        """Give it back, where it is still ours; what fails here ends by itself after a few seconds."""
        self._stop.set()
        if self._keeper is not None:
            self._keeper.join(RENEW_EVERY)
            if self._keeper.is_alive():
                return
        if self._held is None or self._lost is not None:
            return
        with suppress(CiGitopsError):
            given_up = {"leaseDurationSeconds": 1, "leaseTransitions": _number(_spec(self._held), "leaseTransitions")}
            freed = self.cluster.replace({**self._held, "spec": given_up})
            if remove:
                self.cluster.delete(LEASES, self.namespace, self.name, uid=str(freed["metadata"].get("uid", "")))

    def _renew_again_and_again(self) -> None:
        while not self._stop.wait(RENEW_EVERY):
            with suppress(CiGitopsError):
                self.renew()

    def _is_free(self, live: Document | None, unchanged: float) -> bool:
        spec = _spec(live)
        identity = spec.get("holderIdentity")
        if live is None or not identity or identity == self.holder.identity:
            return True
        return unchanged >= min(max(_number(spec, "leaseDurationSeconds", SECONDS), 1), _LONGEST)

    def _write(self, live: Document | None, began: float) -> bool:
        """Make it ours as the next version of what was read; False where another was first."""
        try:
            document = self._wanted(live)
            self._held = self.cluster.replace(document) if live is not None else self.cluster.create(document)
        except ApiError as error:
            if error.status == 409 or (error.status == 404 and live is not None):
                return False
            raise
        self._renewed = began
        return True

    def _say_that_we_wait(self, live: Document | None) -> None:
        """So that a run with an older revision stops waiting for health and lets us go on; another's word is kept."""
        if live is None or self.holder.time <= _waiting(live)[1]:
            return
        metadata = live["metadata"]
        annotations = {**(metadata.get("annotations") or {}), WAITING: f"{self.holder.revision} {self.holder.time}"}
        with suppress(ApiError):  # the holder renewed it just now: it is said at the next look
            self.cluster.replace({**live, "metadata": {**metadata, "annotations": annotations}})

    def _wanted(self, live: Document | None) -> dict[str, Any]:
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        before = _spec(live)
        ours = before.get("holderIdentity") == self.holder.identity
        changed = 0 if ours or live is None else 1
        spec = {
            "holderIdentity": self.holder.identity,
            "leaseDurationSeconds": SECONDS,
            "acquireTime": before.get("acquireTime") or now if ours else now,
            "renewTime": now,
            "leaseTransitions": _number(before, "leaseTransitions") + changed,
        }
        metadata: dict[str, Any] = dict(live["metadata"]) if live else {"name": self.name, "namespace": self.namespace}
        metadata.pop("managedFields", None)
        metadata["labels"] = {**(metadata.get("labels") or {}), **self.labels}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), SAID_BY: self.holder.said}
        if _waiting(live)[1] <= self.holder.time:  # it waited for us, or is older than what we bring
            metadata["annotations"].pop(WAITING, None)
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}


def _waiting(live: Document | None) -> tuple[str, int]:
    """The revision that somebody waits with, and when it was committed; 0 where nobody does."""
    annotations = (live or {}).get("metadata", {}).get("annotations") or {}
    revision, _, when = str(annotations.get(WAITING) or "").partition(" ")
    return (plain(revision), int(when)) if when.isascii() and when.isdigit() and len(when) < 13 else ("", 0)


def _spec(live: Document | None) -> Mapping[str, Any]:
    found = live.get("spec") if live else None
    return found if isinstance(found, Mapping) else {}


def _number(spec: Mapping[str, Any], name: str, default: int = 0) -> int:
    found = spec.get(name)
    return found if isinstance(found, int) else default


def _state(live: Document | None) -> object:
    """What a renewal changes; not what those say who wait."""
    return (live["metadata"].get("uid"), dict(_spec(live))) if live else None


def _who(live: Document | None) -> str:
    """The holder for people: as it says itself, else its identity."""
    if live is None:
        return "nobody (the Lease was deleted)"
    said = (live["metadata"].get("annotations") or {}).get(SAID_BY)
    return plain(str(said or _spec(live).get("holderIdentity") or "another run"))
