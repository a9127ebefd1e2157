"""The writes of one `update`: one for each repository, branch and rule, done one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.git_access import signing_key
from ci_gitops.core.holds import Held
from ci_gitops.core.intents import Intent
from ci_gitops.core.updates import Plan, TargetFiles
from ci_gitops.errors import CiGitopsError, RefusedError, UsageError, decisive
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps import people
from ci_gitops.steps.report import leave_dotenv, update_result
from ci_gitops.steps.targets import targets_of
from ci_gitops.steps.update_call import UpdateCall
from ci_gitops.steps.workplace import Workplace, Workplaces
from ci_gitops.steps.write import RACE_SECONDS, Hand, Written, push_write

if TYPE_CHECKING:  # what a push to a branch does not need is imported where it is used
    from ci_gitops.settings import EnvironmentSettings
    from ci_gitops.steps.request_text import Tell

_WAIT = 600.0  # seconds that --wait waits where --timeout says nothing


@dataclass(frozen=True, slots=True)
class Job:
    """One write: these targets, at this place, by this environment's rules (of several: they share them)."""

    place: Workplace
    environment: EnvironmentSettings
    rule: str  # push, merge-request
    targets: tuple[TargetFiles, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be written by one job, and by whom."""

    job: Job
    intent: Intent
    hand: Hand
    tell: Tell | None = None  # what its merge request says; None: what every one does


def hand_of(run: Run, call: UpdateCall) -> Hand:
    return Hand(
        author=people.author(run),
        actor=people.actor(run),
        source=people.source(run),
        subject=call.message,
        force=call.force,
        back_to=call.back_to,
        dry_run=call.dry_run,
        sign=signing_key(call.sign, run.environ) if call.sign else None,
        check=_checker(run, call),
        now=datetime.now(UTC).isoformat(timespec="seconds"),
        timeout=call.timeout or RACE_SECONDS,
    )


def _checker(run: Run, call: UpdateCall) -> Callable[[Workplace, Plan], None]:
    """What a plan must pass before it is written. A way back is not asked for signatures: it has run before."""
    proves = None

    def check(place: Workplace, plan: Plan) -> None:
        nonlocal proves
        if not call.back_to and any(_wants_signatures(place, target.environment) for target in plan.moved_targets):
            from ci_gitops.steps.proof import prover

            proves = proves or prover(run, call.ca_file)
            proves(place, plan)
        if call.check:
            from ci_gitops.steps.check import check_plan

            check_plan(run, place, plan)

    return check


def _wants_signatures(place: Workplace, environment: str) -> bool:
    return place.settings.environment(environment).verify.cosign is not None


def _with_digests(run: Run, task: Task, call: UpdateCall) -> Task:
    """The task, its tags pinned where signatures are wanted: what was verified is what is written."""
    environments = {files.target.environment for files in task.job.targets}
    if task.hand.back_to or not any(_wants_signatures(task.job.place, name) for name in environments):
        return task
    from ci_gitops.steps.pin import pinned

    return replace(task, intent=pinned(run, task.intent, call.ca_file))


def jobs_of(places: Workplaces, root: Workplace, call: UpdateCall) -> list[Job]:
    """The writes of a call: one for each repository, branch and rule, merge requests for each environment."""
    jobs: dict[tuple[str, ...], Job] = {}
    for name in chosen_environments(places.run, root, call.environments):
        place = places.of(root.settings.environment(name), root)
        environment = place.settings.environment(name)
        rule = call.write or environment.write
        targets = targets_of(place, name, call.apps)
        key: tuple[str, ...] = (place.url, place.branch, rule, environment.commit.subject)
        if rule == "merge-request":
            key = (*key, name)
        before = jobs[key].targets if key in jobs else ()
        jobs[key] = Job(place, environment, rule, before + targets)
    return list(jobs.values())


def chosen_environments(run: Run, root: Workplace, named: Sequence[str]) -> tuple[str, ...]:
    """The environments of the call: named, or by the branch that CI builds."""
    settings = root.settings
    if named:
        return tuple(settings.environment(name).name for name in dict.fromkeys(named))
    branch = run.ci.branch
    if branch and (found := settings.environments_for_branch(branch)):
        return found
    known = ", ".join(settings.environments) or "none"
    if branch:
        raise UsageError(
            f"No environment takes builds of the branch {branch!r}.",
            hint=f"Pass --environment, or add the branch to `sourceBranches` of one of: {known}.",
        )
    raise UsageError("No environment is named.", hint=f"Pass --environment; there are: {known}.")


def write_each(places: Workplaces, tasks: Sequence[Task], call: UpdateCall) -> Result:
    """Every task in its turn; one that fails does not keep the others from being done, and is told at the end."""
    deadline = Deadline.after(call.timeout or _WAIT)
    external = _external(tasks) if call.wait == "deployed" else frozenset()
    written: list[Written] = []
    failures: list[CiGitopsError] = []
    for task in tasks:
        try:
            written.extend(_write(places, _with_digests(places.run, task, call), call))
        except CiGitopsError as error:
            if len(tasks) == 1:
                raise
            failures.append(error)
    result = update_result(written, dry_run=call.dry_run)
    if call.dotenv and written and not call.dry_run:
        leave_dotenv(places.run.cwd / call.dotenv, written[0])
    if failures:
        worst = decisive(failures)
        for failure in failures:
            if failure is not worst:
                places.run.output.warn(failure.message)
        worst.result = result
        raise worst
    if refused := _refused(written, tasks, call):
        raise RefusedError(
            f"{refused}.", hint=f"--force does not override a hold; {refused.hold.release(refused.environment)!r} "
            "lifts it.", result=result,
        )  # fmt: skip
    if call.wait == "deployed" and not call.dry_run:
        from ci_gitops.steps.arrival import await_deployed

        return await_deployed(places, call, written, result, deadline, external)
    return result


def _refused(written: Sequence[Written], tasks: Sequence[Task], call: UpdateCall) -> Held | None:
    """What the call named and is held, where nothing else was written."""
    if any(one.plan.changed for one in written):
        return None
    images = {name for task in tasks for image in task.intent.every_image for name in (image.name, image.new_name)}
    images = images if call.images or any(task.hand.back_to for task in tasks) else set()
    for held in (each for one in written for each in one.held):
        hold = held.hold
        if hold.image:
            named = held.name in images or held.name is None
        else:
            named = hold.app in call.apps if hold.app else held.environment in call.environments
        if named:
            return held
    return None


def _external(tasks: Sequence[Task]) -> frozenset[str]:
    """The environments that somebody else deploys; RefusedError where nobody can tell what is deployed."""
    settings = {each.target.environment: task.job.place.settings for task in tasks for each in task.job.targets}
    environments = [settings[name].environment(name) for name in settings]
    for environment in environments:
        if environment.operator == "ci-gitops" and environment.destination is None:
            raise RefusedError(
                f"--wait deployed: what runs in {environment.name} is not known, since it has no `destination`.",
                hint=f"Set {environment.section}.destination in .ci-gitops.yaml, or `operator: external` "
                "where somebody else deploys.",
            )
    return frozenset(each.name for each in environments if each.operator != "ci-gitops")


def _write(places: Workplaces, task: Task, call: UpdateCall) -> list[Written]:
    job, intent, hand = task.job, task.intent, task.hand
    if job.rule == "push":
        return [push_write(places, job.place, job.targets, intent, hand, job.environment.commit.subject)]
    from ci_gitops.steps.forge import forge_for
    from ci_gitops.steps.merge_request import RequestWriter
    from ci_gitops.steps.merging import Patience, policy_of
    from ci_gitops.steps.request_text import brief

    config = job.place.settings.config
    forge = forge_for(places.run, job.place.repository, call.forge, url=call.forge_url, config=config)
    policy = policy_of(job.environment, call.merge)
    patience = Patience(0.0 if call.wait == "none" else call.timeout or _WAIT, progress=places.run.output.step)
    writer = RequestWriter(places, forge, job.environment, policy, patience, hand, task.tell or brief)
    return writer.write(job.place, job.targets, intent)
