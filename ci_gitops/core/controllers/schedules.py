"""CronJobs: a Job each time when their schedule says so, in UTC.

https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from ci_gitops.core.api.server import stamp
from ci_gitops.core.api.state import Document
from ci_gitops.core.controllers.hands import Hands, owner_reference

_SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_NAMED = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FURTHEST = 366 * 5  # days in which a next time is looked for


def run(hands: Hands) -> None:
    for found in hands.all("CronJob.batch"):
        hands.look("schedule", found, hands.owned(found, "Job.batch"), partial(_act, hands, found))


def _act(hands: Hands, found: Document) -> None:
    spec = found["spec"]
    jobs = hands.owned(found, "Job.batch")
    active = [job for job in jobs if not _is_over(job)]
    last = hands.state.times[found["metadata"]["uid"]].get("scheduled", hands.made(found))
    due = next_time(spec["schedule"], last)
    if due is not None and not spec.get("suspend"):
        if hands.now >= due:
            hands.unmark(found, "scheduled")
            hands.state.mark(found["metadata"]["uid"], "scheduled", due)
            active = _launch(hands, found, active, due)
            due = next_time(spec["schedule"], due)
        if due is not None:
            hands.wake(due)
    _tidy(hands, found, [job for job in jobs if _is_over(job)])
    _report(hands, found, active, jobs)


def _launch(hands: Hands, found: Document, active: list[Document], due: float) -> list[Document]:
    policy = found["spec"].get("concurrencyPolicy", "Allow")
    if active and policy == "Forbid":
        return active
    if policy == "Replace":
        for job in active:
            hands.delete(job)
        active = []
    template = copy.deepcopy(found["spec"]["jobTemplate"])
    metadata = template.get("metadata") or {}
    made = hands.create({
        "apiVersion": "batch/v1", "kind": "Job", "spec": template["spec"],
        "metadata": {
            "name": f"{found['metadata']['name'][:52]}-{int(due) // 60}", "namespace": found["metadata"]["namespace"],
            "labels": metadata.get("labels", {}), "ownerReferences": [owner_reference(found)],
            "annotations": {**metadata.get("annotations", {}), _SCHEDULED: stamp(due)},
        },
    })  # fmt: skip
    told = f"Created job {made['metadata']['name']}"
    hands.event(found, "Normal", "SuccessfulCreate", told, "cronjob-controller")
    return [*active, made]


def _is_over(job: Document) -> bool:
    found = job["status"].get("conditions") or ()
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in found)


def _succeeded(job: Document) -> bool:
    found = job["status"].get("conditions") or ()
    return any(each["type"] == "Complete" and each["status"] == "True" for each in found)


def _tidy(hands: Hands, found: Document, over: list[Document]) -> None:
    spec = found["spec"]
    for good, limit in ((True, "successfulJobsHistoryLimit"), (False, "failedJobsHistoryLimit")):
        same = [job for job in over if _succeeded(job) == good]
        for job in same[: max(0, len(same) - spec.get(limit, 1))]:
            hands.delete(job)


def _report(hands: Hands, found: Document, active: list[Document], jobs: list[Document]) -> None:
    status = {key: value for key, value in found["status"].items() if key != "active"}
    if active:
        status["active"] = [
            {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"],
             "namespace": job["metadata"]["namespace"], "resourceVersion": job["metadata"]["resourceVersion"]}
            for job in active
        ]  # fmt: skip
        known = found["status"].get("active") or ()
        if [each["uid"] for each in known] == [each["uid"] for each in status["active"]]:
            status["active"] = known
    scheduled = hands.state.times[found["metadata"]["uid"]].get("scheduled")
    if scheduled is not None:
        status["lastScheduleTime"] = stamp(scheduled)
    ends = [job["status"]["completionTime"] for job in jobs if "completionTime" in job["status"]]
    if ends:
        status["lastSuccessfulTime"] = max([*ends, status.get("lastSuccessfulTime", "")])
    hands.status(found, status)


def next_time(schedule: str, after: float) -> float | None:
    """The first full minute after `after` that the schedule names; None where there is none, or it cannot be read."""
    fields = _NAMED.get(schedule.strip(), schedule).split()
    try:
        minutes, hours, days, months, weekdays = (
            _numbers(text, *bounds, words) for text, bounds, words in zip(
                fields, _RANGES, ((), (), (), _MONTHS, _DAYS), strict=True)
        )  # fmt: skip
    except ValueError:
        return None
    weekdays = {day % 7 for day in weekdays}
    any_day, any_weekday = fields[2].startswith("*"), fields[4].startswith("*")
    moment = datetime.fromtimestamp(int(after) // 60 * 60 + 60, UTC)
    last = moment + timedelta(days=_FURTHEST)
    while moment < last:
        by_day, by_weekday = moment.day in days, moment.isoweekday() % 7 in weekdays
        fits = (by_day and by_weekday) if any_day or any_weekday else (by_day or by_weekday)
        if moment.month not in months or not fits:
            moment = (moment + timedelta(days=1)).replace(hour=0, minute=0)
        elif moment.hour not in hours:
            moment = (moment + timedelta(hours=1)).replace(minute=0)
        elif moment.minute not in minutes:
            moment += timedelta(minutes=1)
        else:
            return moment.timestamp()
    return None


def _numbers(text: str, least: int, most: int, words: Sequence[str]) -> set[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        low = least if first in ("*", "?") else _number(first, words, least)
        high = most if first in ("*", "?") or (step and not dash) else _number(last, words, least) if dash else low
        if not least <= low <= high <= most or (step and int(step) < 1):
            raise ValueError(text)
        found.update(range(low, high + 1, int(step or 1)))
    return found


def _number(text: str, words: Sequence[str], least: int) -> int:
    return words.index(text) + least if text in words else int(text)
