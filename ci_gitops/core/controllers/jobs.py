"""Jobs, from their first pod to the end of their time.

https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ci_gitops.core.api.server import stamp
from ci_gitops.core.api.state import Document
from ci_gitops.core.controllers.hands import Hands, condition, conditions, is_going
from ci_gitops.core.controllers.pods import is_ready
from ci_gitops.core.controllers.replicas import new_pod

_PAUSE = 10.0  # seconds before a failed pod is tried again, doubled each time
_LONGEST_PAUSE = 600.0
_INDEX = "batch.kubernetes.io/job-completion-index"


def run(hands: Hands) -> None:
    for job in hands.all("Job.batch"):
        hands.look("job", job, hands.owned(job, "Pod"), partial(_work, hands, job))


def _work(hands: Hands, job: Document) -> None:
    end = _end_of(job)
    if end:
        _forget(hands, job, end)
        return
    spec = job["spec"]
    pods = [pod for pod in hands.owned(job, "Pod") if not is_going(pod)]
    if spec.get("suspend"):
        _suspend(hands, job, pods)
        return
    began = hands.mark(job, "began")
    counts = _Counts(job, pods)
    failure = _failure(hands, job, counts, began)
    if failure:
        _finish(hands, job, counts, began, ("FailureTarget", "Failed"), *failure)
    elif counts.succeeded >= spec.get("completions", 1) and (spec.get("completions") is not None or not counts.active):
        done = "Reached expected number of succeeded pods"
        _finish(hands, job, counts, began, ("SuccessCriteriaMet", "Complete"), "CompletionsReached", done)
    else:
        _start(hands, job, counts)
        counts = _Counts(job, [pod for pod in hands.owned(job, "Pod") if not is_going(pod)])
        resumed = []
        if any(each["type"] == "Suspended" for each in (job["status"].get("conditions") or ())):
            resumed.append(condition("Suspended", False, "JobResumed", "Job resumed"))
        _report(hands, job, counts, began, resumed)


class _Counts:
    def __init__(self, job: Document, pods: list[Document]) -> None:
        phases = [pod["status"].get("phase") for pod in pods]
        self.pods = pods
        self.active = [pod for pod, phase in zip(pods, phases, strict=True) if phase not in ("Succeeded", "Failed")]
        self.failed_pods = [pod for pod, phase in zip(pods, phases, strict=True) if phase == "Failed"]
        self.restarts = sum(
            status.get("restartCount", 0) for pod in self.active
            for status in pod["status"].get("containerStatuses", ())
        )  # fmt: skip
        self.indexes = {_index(pod) for pod, phase in zip(pods, phases, strict=True) if phase == "Succeeded"}
        indexed = job["spec"].get("completionMode") == "Indexed"
        self.succeeded = len(self.indexes) if indexed else phases.count("Succeeded")
        self.failed = len(self.failed_pods)


def _index(pod: Mapping[str, Any]) -> str:
    found = (pod["metadata"].get("annotations") or {}).get(_INDEX)
    return str(found) if found is not None else str(pod["metadata"]["uid"])


def _end_of(job: Document) -> str | None:
    """When it ended, in the words of its conditions; None where it did not."""
    for each in job["status"].get("conditions") or ():
        if each["type"] in ("Complete", "Failed") and each["status"] == "True":
            return str(each["type"])
    return None


def _forget(hands: Hands, job: Document, end: str) -> None:
    kept = job["spec"].get("ttlSecondsAfterFinished")
    if kept is None:
        return
    over = hands.mark(job, "ended") + kept
    if hands.now >= over:
        hands.delete(job)
    else:
        hands.wake(over)


def _suspend(hands: Hands, job: Document, pods: list[Document]) -> None:
    for pod in pods:
        if pod["status"].get("phase") not in ("Succeeded", "Failed"):
            hands.delete(pod)
    hands.unmark(job, "began")
    wanted = condition("Suspended", True, "JobSuspended", "Job suspended")
    status: dict[str, Any] = {"conditions": conditions(job["status"], hands.time, wanted), "ready": 0, "terminating": 0}
    hands.status(job, {**status, "uncountedTerminatedPods": {}})


def _failure(hands: Hands, job: Document, counts: _Counts, began: float) -> tuple[str, str] | None:
    spec = job["spec"]
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None:
        if hands.now >= began + deadline:
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        hands.wake(began + deadline)
    if counts.failed + counts.restarts > spec.get("backoffLimit", 6):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    return None


def _finish(
    hands: Hands, job: Document, counts: _Counts, began: float, kinds: tuple[str, str], reason: str, message: str
) -> None:
    for pod in counts.active:
        hands.delete(pod)
    counts = _Counts(job, [pod for pod in counts.pods if pod not in counts.active])
    ended = hands.mark(job, "ended")
    extra = {"completionTime": stamp(ended)} if kinds[1] == "Complete" else {}
    wanted = [condition(kind, True, reason, message) for kind in kinds]
    _report(hands, job, counts, began, wanted, **extra)
    what = ("Normal", "Completed", "Job completed") if extra else ("Warning", reason, message)
    hands.event(job, *what, "job-controller")


def _start(hands: Hands, job: Document, counts: _Counts) -> None:
    spec = job["spec"]
    wanted = spec.get("completions", 1) - counts.succeeded
    missing = min(spec.get("parallelism", 1), wanted) - len(counts.active)
    if missing <= 0:
        return
    if counts.failed:
        last = max(hands.mark(pod, "seen failed") for pod in counts.failed_pods)
        again = last + min(_PAUSE * 2 ** (counts.failed - 1), _LONGEST_PAUSE)
        if hands.now < again:
            hands.wake(again)
            return
    indexed = spec.get("completionMode") == "Indexed"
    taken = counts.indexes | {_index(pod) for pod in counts.active}
    free = (str(number) for number in range(spec.get("completions", 1)) if str(number) not in taken)
    for _ in range(missing):
        template, name = spec["template"], ""
        if indexed:
            number = next(free)
            metadata = {**(template.get("metadata") or {})}
            metadata["annotations"] = {**(metadata.get("annotations") or {}), _INDEX: number}
            template = {**template, "metadata": metadata}
            name = f"{job['metadata']['name']}-{number}-{hands.state.new_suffix(job['metadata']['uid'])}"
        made = new_pod(hands, job, template, name=name)
        hands.event(job, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", "job-controller")


def _report(
    hands: Hands, job: Document, counts: _Counts, began: float, wanted: list[dict[str, Any]], **extra: Any
) -> None:
    kept = [
        each for each in job["status"].get("conditions") or () if each["type"] not in {new["type"] for new in wanted}
    ]
    found = conditions(job["status"], hands.time, *wanted, stamps=("lastTransitionTime", "lastProbeTime"))
    status: dict[str, Any] = {
        "startTime": stamp(began), "active": len(counts.active), "succeeded": counts.succeeded, "failed": counts.failed,
        "ready": sum(map(is_ready, counts.active)), "terminating": 0, "uncountedTerminatedPods": {}, **extra,
    }  # fmt: skip
    if kept or found:
        status["conditions"] = [*kept, *found]
    hands.status(job, status)
