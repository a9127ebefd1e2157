"""What of a project's settings on GitLab decides whether the jobs of the road run, in which order and with what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ci_gitops.adapters.forges.gitlab_branches import page, rules_of, shown
from ci_gitops.core.forge_settings import Needs, Setting
from ci_gitops.core.freezes import Freeze, freeze_reason
from ci_gitops.core.text import counted
from ci_gitops.masking import names_secret

Json = Mapping[str, Any]
_LATE = 3600  # seconds after which a schedule that was due is told
_SCHEDULES = "Build > Pipeline schedules"
_VARIABLES = "Settings > CI/CD > Variables"
_CREDENTIALS = re.compile(r"KUBECONFIG")  # a secret by another name
#: Read by jobs that belong to no environment too, so that a scope keeps them away.
_EVERYWHERE = re.compile(r"CI_GITOPS_TOKEN|GITLAB_ID_RSA|DOCKER_REGISTRY_PWD")


def judge_schedules(listed: Sequence[Json], project: Json, needs: Needs) -> Iterator[Setting]:
    where = page(project, "-/pipeline_schedules")
    here = [one for one in listed if str(one.get("ref")).removeprefix("refs/heads/") == needs.branch]
    running = [one for one in here if one.get("active")]
    for one in running:
        yield _schedule(one, shown(project), where, needs)
    if running or not needs.scheduled or needs.has_ci is False:
        return
    off = f" ({', '.join(_called(one) for one in here)} is switched off)" if here else ""
    yield Setting(
        "schedules", "warn",
        f"{shown(project)}: no schedule starts pipelines of {needs.branch}{off}, and only one of these sees to it that"
        f" {_listed(needs.scheduled)}.",
        f"{_SCHEDULES} > New schedule: {needs.branch}, for instance */15 * * * *, owned by a bot; not needed where"
        " `ci-gitops install` runs the operator in the cluster", where,
    )  # fmt: skip


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _called(schedule: Json) -> str:
    return repr(str(schedule.get("description") or schedule.get("id")))


def _schedule(one: Json, project: str, where: str, needs: Needs) -> Setting:
    owner = one.get("owner") or {}
    name, state = str(owner.get("username") or "nobody"), str(owner.get("state") or "gone")
    about = f"{project}: the schedule {_called(one)} of {needs.branch}"
    if state != "active":
        return Setting(
            "schedules", "fail", f"{about} runs as {name}, who is {state}: GitLab starts nothing for them.",
            f"{_SCHEDULES} > Take ownership, as a bot user", where,
        )  # fmt: skip
    due = _seconds(one.get("next_run_at"))
    if due and due < needs.now - _LATE:
        return Setting(
            "schedules", "warn", f"{about} was due at {_time(due)} and has not run: GitLab makes no pipeline of it.",
            f"{_SCHEDULES}: may {name} merge into {needs.branch}, and is .gitlab-ci.yml valid?", where,
        )  # fmt: skip
    person = "" if "_bot" in name or name.startswith("service_account_") else ", a person: it stops when they leave"
    ahead = f", next at {_time(due)}" if due else ""
    return Setting("schedules", "ok", f"{about} runs as {name}{person}{ahead}.")


def _seconds(text: Any) -> int:
    try:
        return int(datetime.fromisoformat(str(text)).timestamp())
    except ValueError:
        return 0


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def judge_locks(listed: Sequence[Json], project: Json) -> Iterator[Setting]:
    """A new group is unordered. https://docs.gitlab.com/ci/resource_groups/#process-modes

    `oldest_first` waits for jobs that are not ready yet, too: a pipeline that waits for a person holds all later ones.
    """
    ours = [one for one in listed if str(one.get("key")).startswith("ci-gitops")]
    chance = sorted(str(one["key"]) for one in ours if one.get("process_mode") == "unordered")
    if chance:
        yield Setting(
            "resource-groups", "warn",
            f"{shown(project)}: of jobs that wait for {_listed(chance)} any may be next (unordered): an older pipeline"
            " may come after a newer one, and is refused then.",
            "newest_ready_first, by the API alone, for each of them (oldest_first takes each in turn, also behind a"
            " pipeline that waits for a person):\n"
            f"glab api --method PUT projects/{project.get('id')}/resource_groups/{chance[0]} -f"
            " process_mode=newest_ready_first",
        )  # fmt: skip
    elif ours:
        yield Setting("resource-groups", "ok", f"{shown(project)}: {counted(len(ours), 'resource group')} in order.")


def judge_freezes(listed: Sequence[Json], project: Json, needs: Needs) -> Iterator[Setting]:
    where = page(project, "-/settings/ci_cd#js-deploy-freeze-settings")
    freezes = [Freeze(one["freeze_start"], one["freeze_end"], one.get("cron_timezone") or "UTC") for one in listed]
    try:
        free, _, why = freeze_reason(freezes, needs.now)
    except ValueError as error:
        free, why = False, f"a deploy freeze cannot be read: {error}"
    if not free:
        yield Setting(
            "freezes", "warn", f"{shown(project)}: {why}. Schedules deploy nothing, and the gate `freeze` holds.",
            "Settings > CI/CD > Deploy freezes, where it should not be on", where,
        )  # fmt: skip
    elif needs.freezes and not freezes:
        yield Setting(
            "freezes", "warn",
            f"{shown(project)}: {', '.join(needs.freezes)} obeys deploy freezes (gates.freeze), and none is set.",
            "Settings > CI/CD > Deploy freezes > Add deploy freeze; or take gates.freeze out", where,
        )  # fmt: skip
    elif freezes:
        yield Setting("freezes", "ok", f"{shown(project)}: {counted(len(freezes), 'deploy freeze')}, none is on.")


def judge_variables(
    listed: Sequence[Json], protected: object, project: Json, needs: Needs
) -> Iterator[Setting]:  # fmt: skip
    """By their names alone; no value is looked at."""
    where = page(project, "-/settings/ci_cd#js-cicd-variables-settings")
    secrets = [one for one in listed if _CREDENTIALS.match(str(one.get("key"))) or names_secret(str(one.get("key")))]
    kinds: dict[tuple[str, str], list[str]] = {}
    open_branch = isinstance(protected, list) and not rules_of(needs.branch, protected)
    for one in secrets:
        for problem in _problems(one, open_branch, needs.branch):
            kinds.setdefault(problem, []).append(str(one.get("key")))
    for (what, change), names in kinds.items():
        listing = ", ".join(dict.fromkeys(names))
        place = change if change.startswith("Settings") else f"{_VARIABLES} > {listing} > {change}"
        yield Setting("secrets", "warn", f"{shown(project)}: {listing}: {what}.", place, where)
    if secrets and not kinds:
        yield Setting(
            "secrets", "ok", f"{shown(project)}: {counted(len(secrets), 'secret variable')}, masked and protected."
        )


def _problems(one: Json, open_branch: bool, branch: str) -> Iterator[tuple[str, str]]:
    file, key = one.get("variable_type") == "file", str(one.get("key"))
    if not one.get("masked") and not one.get("hidden") and not file:
        change = "Type: File, since keys of several lines cannot be masked" if "RSA" in key else "Visibility: Masked"
        yield "not masked, so a job's log may show it", change
    if not one.get("protected"):
        notes = "; plans of merge requests then need a token of their own for their note" if "GITOPS" in key else ""
        yield "not protected, so the jobs of any branch get it", f"Protect variable{notes}"
    elif open_branch:
        yield (
            f"protected, and {branch} is not, so the jobs of that branch do not get it",
            f"Settings > Repository > Protected branches: add {branch}",
        )
    scope = str(one.get("environment_scope") or "*")
    if scope != "*" and _EVERYWHERE.fullmatch(key):
        yield f"only for jobs of the environment {scope}, and `update` and `merge` belong to none", "Environments: All"
