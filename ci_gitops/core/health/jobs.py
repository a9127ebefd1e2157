"""Jobs and CronJobs. A condition counts only when its status is True: a resumed Job keeps `Suspended: False`."""

from __future__ import annotations

from ci_gitops.core.health.fields import Object, at, condition, holds, number, reason_of, text
from ci_gitops.core.health.records import Health, degraded, healthy, progressing, suspended


def job(found: Object) -> Health:
    for kind in ("Failed", "FailureTarget"):
        if holds(found, kind):
            return degraded(f"The job failed: {reason_of(condition(found, kind), 'it does not say why')}")
    succeeded = number(found, "status", "succeeded")
    wanted = number(found, "spec", "completions", default=1)
    if holds(found, "Complete"):
        return healthy(f"The job is complete ({succeeded} of {wanted} succeeded)")
    if holds(found, "Suspended") or at(found, "spec", "suspend") is True:
        return suspended("The job is suspended (spec.suspend is true)")
    failed = number(found, "status", "failed")
    more = f", {failed} failed" if failed else ""
    active = number(found, "status", "active")
    return progressing(f"{succeeded} of {wanted} succeeded, {active} running{more}")


def cron_job(found: Object) -> Health:
    if at(found, "spec", "suspend") is True:
        return healthy("It starts no job: its schedule is suspended (spec.suspend is true)")
    status = at(found, "status")
    if status is None:
        return progressing("The controller has not seen it yet")
    if at(status, "active"):
        return healthy("A job of it is running")
    started, succeeded = text(status, "lastScheduleTime"), text(status, "lastSuccessfulTime")
    if not started:
        return healthy("Its time has not come yet: no job was started")
    if not succeeded:
        return healthy(f"It last started a job at {started}; none has succeeded yet")
    if succeeded < started:
        return degraded(f"The job started at {started} did not succeed; the last that did ended at {succeeded}")
    return healthy(f"Its last job succeeded at {succeeded}")
