"""Waiting, after a write, until the records of its environment say that it is deployed and healthy.

Where there is no way to these from here, the forge's deployment records say it, as for everything that asks what runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ci_gitops.adapters.deadline import Deadline
from ci_gitops.core.running import Running
from ci_gitops.errors import CiGitopsError, ClusterError, RefusedError, TemporaryError, UnhealthyError, UsageError
from ci_gitops.results import Result
from ci_gitops.steps.locate import Place
from ci_gitops.steps.running import running_in
from ci_gitops.steps.update_call import UpdateCall
from ci_gitops.steps.verify import VerifyCall, verify
from ci_gitops.steps.workplace import Workplace, Workplaces
from ci_gitops.steps.write import Written

_LOOK_AGAIN = 5.0  # seconds between two questions to the forge


def await_deployed(
    places: Workplaces, call: UpdateCall, writes: Sequence[Written], result: Result, deadline: Deadline,
    external: Collection[str],
) -> Result:  # fmt: skip
    """`result` with how each environment does, those apart that somebody else deploys.

    UnhealthyError where it failed, TemporaryError where it takes longer.
    """
    for written in writes:
        if written.outcome == "waiting":
            raise TemporaryError(f"{'; '.join(written.notes)}.", hint="Run it again after that.", result=result)
        for environment in written.environments:
            if environment in external:
                places.run.output.note(f"Somebody else deploys {environment}: Git alone says what runs there.")
                continue
            result = _arrived(places, call, written, environment, result, deadline)
    return result


def _arrived(
    places: Workplaces, call: UpdateCall, written: Written, environment: str, result: Result, deadline: Deadline
) -> Result:
    apps = tuple(target.app for target in written.plan.targets if target.environment == environment)
    if not apps:
        return result
    run = places.run
    run.output.step(f"Waiting until {written.revision[:12]} is deployed to {environment}")
    try:
        status = verify(run, VerifyCall(
            environment=environment, apps=apps, repo=written.url, branch=written.branch, revision=written.revision,
            token_file=call.token_file, ca_file=call.ca_file, timeout=deadline.left(), may_be_late=True,
        ))  # fmt: skip
    except (UsageError, ClusterError) as error:  # no way to the records
        try:
            return _told_by_forge(places, written, environment, apps, result, deadline)
        except RefusedError:
            error.result = result
            raise error from None
    except CiGitopsError as error:
        error.result = _with(result, environment, error.result)
        error.hint = error.hint or f"`ci-gitops verify --environment {environment}` waits on."
        raise
    return _with(result, environment, status)


def _told_by_forge(
    places: Workplaces, written: Written, environment: str, apps: Sequence[str], result: Result, deadline: Deadline
) -> Result:
    """The same by the forge's deployment records; RefusedError where it has none."""
    place = places.at(Place(written.url, written.branch, f"environment {environment}"), environment)
    while True:
        running = running_in(places, place, place.settings.environment(environment), apps)
        if all(_holds(place, each, written.revision) for each in running):
            break
        if deadline.over:
            raise TemporaryError(
                f"{environment}: the forge has no deployment of {written.revision[:12]} yet.",
                hint="Run the same command again, or give it more time with --timeout.", result=result,
            )  # fmt: skip
        deadline.stopped.wait(min(_LOOK_AGAIN, deadline.left()))
    if failed := next((each for each in running if not each.healthy), None):
        raise UnhealthyError(f"{failed.target}: {failed.reason}", result=result)
    lines = [f"{each.target}: {each.reason}" for each in running]
    return replace(result, text="\n".join([result.text, *lines]))


def _holds(place: Workplace, running: Running, revision: str) -> bool:
    """Whether what was deployed holds the revision, or is it."""
    deployed = running.revision
    return deployed == revision or (bool(deployed) and place.repository.is_ancestor(revision, deployed) is True)


def _with(result: Result, environment: str, status: Result | None) -> Result:
    if status is None:
        return result
    deployed = {**result.document.get("deployed", {}), environment: status.document["items"]}
    return replace(result, document={**result.document, "deployed": deployed}, text=f"{result.text}\n{status.text}")
