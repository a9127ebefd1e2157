"""The story of `scan`: what is newer by the policies, looked up and written by the road of `update`."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from ci_gitops.adapters.forges.base import Site
from ci_gitops.adapters.kept_answers import KeptAnswers
from ci_gitops.core.scanning import Finding
from ci_gitops.core.text import counted
from ci_gitops.errors import CiGitopsError, UsageError, decisive
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.batches import Newer, batches
from ci_gitops.steps.followed import Followed, Scope, followed, without_policy
from ci_gitops.steps.forge import site_of
from ci_gitops.steps.held import holds_in
from ci_gitops.steps.lookup import look_up
from ci_gitops.steps.scan_report import scan_result, told_of
from ci_gitops.steps.servers import servers_for
from ci_gitops.steps.targets import targets_of
from ci_gitops.steps.update_call import UpdateCall
from ci_gitops.steps.update_jobs import Job, Task, chosen_environments, hand_of, write_each
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces

_TROUBLE = 100.0  # seconds
_SHORTEST = 1.0  # seconds between two rounds
_JITTER = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanCall(UpdateCall):
    """The options of one call, as the command line gives them."""

    once: bool = False
    interval: float | None = None

    @property
    def base(self) -> UpdateCall:
        return UpdateCall(**{each.name: getattr(self, each.name) for each in fields(UpdateCall)})


def scan(run: Run, call: ScanCall) -> Result:
    """One round, or one after the other until somebody ends it."""
    if call.interval is None:
        return scan_once(run, call)
    if call.once:
        raise UsageError("--once and --interval exclude each other.", hint="--interval goes on until it is ended.")
    if call.interval < _SHORTEST:
        raise UsageError("--interval must be 1s or more.", hint="For registries of others take 5m or more.")
    number, uniform = 0, random.SystemRandom().uniform
    while True:
        number += 1
        try:
            result = scan_once(run, call)
            run.output.note(told_of(result, number))
        except CiGitopsError as error:
            if number == 1 and isinstance(error, UsageError):
                raise  # it was wrong from the beginning, and waiting changes nothing
            _failed(run, number, error)
        pause = call.interval * uniform(1 - _JITTER, 1 + _JITTER)
        run.output.detail(f"The next round begins in {pause:.0f} s.")
        time.sleep(pause)


def _failed(run: Run, number: int, error: CiGitopsError) -> None:
    if error.result:
        run.output.note(told_of(error.result, number))
    run.output.warn(f"Round {number}: {error.message}{f' {error.hint}' if error.hint else ''}")


def scan_once(run: Run, call: ScanCall) -> Result:
    """Look at everything that is followed, and write what is newer."""
    reach = Reach(call.repo, call.branch, call.ca_file, call.token_file, call.timeout or _TROUBLE)
    with Workplaces(run, reach) as places:
        root = places.root()
        scopes = _scopes(places, root, call)
        things = [thing for scope in scopes for thing in followed(scope)]
        for scope in scopes:
            if left := without_policy(scope):
                run.output.detail(f"{scope.target}: no policy, left alone: {', '.join(left)}")
        wanted = [thing for thing in things if isinstance(thing, Followed)]
        if wanted:
            what = counted(len(wanted), "image or chart", "images and charts")
            run.output.step(f"Looking for newer versions of {what}")
        servers = servers_for(run, call.ca_file, lambda: _gitlab(run, root, call), KeptAnswers.open(run.environ))
        answers = iter(look_up(run, wanted, servers))
        findings, failures, newer = list[Finding](), list[CiGitopsError](), list[Newer]()
        for thing in things:
            if isinstance(thing, Finding):
                findings.append(thing)
                continue
            answer = next(answers)
            failures += [answer.error] if answer.error else []
            if answer.finding.outcome == "newer":
                newer.append(Newer(thing, answer.finding, len(findings)))
            findings.append(answer.finding)
        return _written(places, newer, findings, failures, call)


def _scopes(places: Workplaces, root: Workplace, call: ScanCall) -> list[Scope]:
    found: list[Scope] = []
    for name in chosen_environments(places.run, root, call.environments):
        place = places.of(root.settings.environment(name), root)
        holds = holds_in(place, [name]).get(name, ())
        environment = place.settings.environment(name)
        # `images` of an app says what builds update; what is followed has a policy of its own.
        files = [replace(each, images=(), named=False) for each in targets_of(place, name, call.apps)]
        found += [Scope(place, environment, each, holds) for each in files]
    return found


def _gitlab(run: Run, root: Workplace, call: ScanCall) -> Site | None:
    """The GitLab whose registry the CI variables name; None where the forge is another, or nobody may ask it."""
    kind = call.forge or root.settings.config.forge or ("gitlab" if run.ci.gitlab else None)
    if kind != "gitlab":
        return None
    try:
        site = site_of(run, root.repository, call.forge_url or run.environ.get("CI_GITOPS_FORGE_URL"))
    except CiGitopsError:
        return None
    return site if site.token else None


# What is written


def _written(
    places: Workplaces, newer: Sequence[Newer], findings: list[Finding], failures: list[CiGitopsError], call: ScanCall
) -> Result:
    run, results = places.run, list[Result]()
    moved: dict[tuple[str, str], bool] = {}
    for batch in batches(newer, call.write):
        scope = batch.targets[0][0].scope
        place = scope.place
        if moved.get((place.url, place.branch)):
            place = places.refreshed(place)  # what was written before is no lost race
        job = Job(place, scope.environment, batch.rule, tuple(target[0].scope.files for target in batch.targets))
        task = Task(job, batch.intent, hand_of(run, call.base))
        result, failure = _tried(places, task, call)
        failures += [failure] if failure else []
        if result:
            results.append(result)
            moved[place.url, place.branch] = True
        for one in batch.all:
            findings[one.number] = _after(one.finding, result, failure)
    result = scan_result(findings, results, dry_run=call.dry_run)
    if not failures:
        return result
    worst = decisive(failures)
    for failure in failures:
        if failure is not worst:
            run.output.warn(failure.message)
    worst.result = result
    raise worst


def _tried(places: Workplaces, task: Task, call: ScanCall) -> tuple[Result | None, CiGitopsError | None]:
    try:
        return write_each(places, [task], call.base), None
    except CiGitopsError as error:
        return error.result, error


def _after(finding: Finding, result: Result | None, failure: CiGitopsError | None) -> Finding:
    """The finding with what became of it."""
    if result is None:
        return replace(finding, outcome="failed", reason=failure.message if failure else "")
    place = (finding.environment, finding.app)
    for write in result.document["writes"]:
        for held in write["held"]:
            if (held["environment"], held["app"]) == place and held["name"] in (finding.name, None):
                return replace(finding, outcome="held", reason=str(held["hold"]["reason"]))
    writes = [
        write for write in result.document["writes"]
        if any((each["environment"], each["app"]) == place for each in write["images"])
    ] or result.document["writes"]  # fmt: skip
    return replace(finding, outcome=writes[0]["outcome"] if writes else "failed")
