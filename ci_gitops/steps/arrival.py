"""Waiting, after a write, until the records of its environment say that it is deployed and healthy."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ci_gitops.adapters.deadline import Deadline
from ci_gitops.errors import CiGitopsError, TemporaryError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.update_call import UpdateCall
from ci_gitops.steps.verify import VerifyCall, verify
from ci_gitops.steps.write import Written


def await_deployed(
    run: Run, call: UpdateCall, writes: Sequence[Written], result: Result, deadline: Deadline,
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
                run.output.note(f"Somebody else deploys {environment}: Git alone says what runs there.")
                continue
            result = _arrived(run, call, written, environment, result, deadline)
    return result


def _arrived(
    run: Run, call: UpdateCall, written: Written, environment: str, result: Result, deadline: Deadline
) -> Result:
    apps = tuple(target.app for target in written.plan.targets if target.environment == environment)
    if not apps:
        return result
    run.output.step(f"Waiting until {written.revision[:12]} is deployed to {environment}")
    try:
        status = verify(run, VerifyCall(
            environment=environment, apps=apps, repo=written.url, branch=written.branch, revision=written.revision,
            token_file=call.token_file, ca_file=call.ca_file, timeout=deadline.left(), may_be_late=True,
        ))  # fmt: skip
    except CiGitopsError as error:
        error.result = _with(result, environment, error.result)
        error.hint = error.hint or f"`ci-gitops verify --environment {environment}` waits on."
        raise
    return _with(result, environment, status)


def _with(result: Result, environment: str, status: Result | None) -> Result:
    if status is None:
        return result
    deployed = {**result.document.get("deployed", {}), environment: status.document["items"]}
    return replace(result, document={**result.document, "deployed": deployed}, text=f"{result.text}\n{status.text}")
