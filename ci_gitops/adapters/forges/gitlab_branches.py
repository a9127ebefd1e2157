"""What of a project's settings on GitLab decides whether our pushes and merges go through, and past whom."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci_gitops.core.forge_settings import Needs, Setting

Json = Mapping[str, Any]
_DEVELOPER, _ADMIN = 30, 60
_PROTECTED = "Settings > Repository > Protected branches"


def page(project: Json, path: str) -> str:
    address = project.get("web_url")
    return f"{address}/{path}" if address else ""


def shown(project: Json) -> str:
    return str(project.get("path_with_namespace") or project.get("id"))


def rules_of(branch: str, listed: Sequence[Json]) -> list[Json]:
    """The rules that hold for it, by its name or by a wildcard; GitLab takes the most permissive of them."""
    return [one for one in listed if fnmatch.fnmatchcase(branch, str(one.get("name")))]


def judge_protection(listed: Sequence[Json], me: int | None, project: Json, needs: Needs) -> Iterator[Setting]:
    name, branch, where = (
        shown(project),
        needs.branch,
        page(project, "-/settings/repository#js-protected-branches-settings"),
    )
    rules = rules_of(branch, listed)
    if not rules:
        yield Setting(
            "protection", "warn",
            f"{name}: the branch {branch} is not protected: every Developer may rewrite or delete it"
            f"{_past(needs)}, and protected variables do not reach its jobs.",
            f"{_PROTECTED}: add {branch}, with the role of our token under `Allowed to push and merge`", where,
        )  # fmt: skip
        return
    pushers, mergers = _levels(rules, "push_access_levels"), _levels(rules, "merge_access_levels")
    found = [*_force(rules, name, branch, where), *_anybody(pushers, name, needs, where)]
    if needs.merges and may(mergers, _level(project), me) is False and may(pushers, _level(project), me) is not True:
        found.append(Setting(
            "protection", "fail",
            f"{name}: this token's user may not merge into {branch}, so no merge request of ours is merged by itself.",
            f"{_PROTECTED} > {branch} > Allowed to merge: the token's role or user; or `merge: manual`", where,
        ))  # fmt: skip
    yield from found
    if not found:
        pushes, merges = (may(levels, _level(project), me) for levels in (pushers, mergers))
        rights = " and ".join([*(["push"] if pushes else []), *(["merge"] if merges else [])]) or "do neither"
        yield Setting(
            "protection", "ok",
            f"{name}: the branch {branch} is protected: nobody may force a push, this token's user may {rights}.",
        )  # fmt: skip


def _past(needs: Needs) -> str:
    return f", past the review of {', '.join(needs.reviewed)}" if needs.reviewed else ""


def _force(rules: Sequence[Json], name: str, branch: str, where: str) -> Iterator[Setting]:
    if any(one.get("allow_force_push") for one in rules):
        yield Setting(
            "protection", "warn",
            f"{name}: {branch} may be force pushed: that takes away commits whose trailers say what runs where.",
            f"{_PROTECTED} > {branch} > Allowed to force push: off", where,
        )  # fmt: skip


def _anybody(pushers: Sequence[Json], name: str, needs: Needs, where: str) -> Iterator[Setting]:
    roles = [int(one.get("access_level") or 0) for one in pushers if _a_role(one)]
    if needs.reviewed and _DEVELOPER in roles:
        yield Setting(
            "protection", "warn",
            f"{name}: every Developer may push to {needs.branch} straight{_past(needs)}.",
            f"{_PROTECTED} > {needs.branch} > Allowed to push and merge: Maintainers"
            f"{', and the user of our token' if needs.pushed else ''}", where,
        )  # fmt: skip


def _levels(rules: Sequence[Json], field: str) -> list[Json]:
    return [level for rule in rules for level in rule.get(field) or ()]


def _a_role(level: Json) -> bool:
    return not any(level.get(who) for who in ("user_id", "group_id", "deploy_key_id"))


def _level(project: Json) -> int:
    """The role of the account that asks, as the project's own record says it."""
    permissions = project.get("permissions") or {}
    found = [permissions.get(where) or {} for where in ("project_access", "group_access")]
    return max((int(one.get("access_level") or 0) for one in found), default=0)


def may(levels: Sequence[Json], level: int, me: int | None) -> bool | None:
    """Whether one of these lets us; None where it depends on a group that we cannot look into."""
    if any(one.get("user_id") and one["user_id"] == me for one in levels):
        return True
    roles = [int(one.get("access_level") or 0) for one in levels if _a_role(one)]
    if any(0 < role < _ADMIN and level >= role for role in roles):
        return True
    unknown = not level or any(one.get("group_id") for one in levels)
    return None if unknown else False


def judge_merging(project: Json, needs: Needs) -> Iterator[Setting]:
    if not needs.reviewed:
        return
    name, where = shown(project), page(project, "-/settings/merge_requests")
    if project.get("archived"):
        yield Setting(
            "merging", "fail", f"{name} is archived: nothing can be written.",
            "Settings > General > Advanced > Unarchive project", page(project, "edit"),
        )  # fmt: skip
    elif project.get("merge_requests_access_level") == "disabled":
        yield Setting(
            "merging", "fail", f"{name} takes no merge requests, and {', '.join(needs.reviewed)} is changed by them.",
            "Settings > General > Visibility, project features, permissions > Merge requests: on",
            page(project, "edit"),
        )  # fmt: skip
    elif project.get("only_allow_merge_if_pipeline_succeeds") and (off := _without_ci(project, needs)):
        yield Setting(
            "merging", "fail" if off == "off" else "warn",
            f"{name}: pipelines must succeed before a merge, and {needs.branch} has no pipeline: unless another system"
            " posts one, no merge request is ever merged.",
            "Settings > Merge requests > Merge checks > Pipelines must succeed: off; or a .gitlab-ci.yml with the"
            " template plan.yml", where,
        )  # fmt: skip
    else:
        yield Setting("merging", "ok", f"{name}: {_method(project)}.")


def _without_ci(project: Json, needs: Needs) -> str:
    """`off` where nothing can run, `none` where nothing is there that would; another system may post statuses then."""
    if project.get("builds_access_level") == "disabled" or project.get("jobs_enabled") is False:
        return "off"
    theirs = project.get("ci_config_path") or project.get("auto_devops_enabled")
    return "none" if needs.has_ci is False and not theirs else ""


def _method(project: Json) -> str:
    method = {
        "merge": "merges with a merge commit", "rebase_merge": "merges with a merge commit, by fast-forward alone",
        "ff": "merges by fast-forward",
    }.get(str(project.get("merge_method")), f"merge method {project.get('merge_method')}")  # fmt: skip
    squash = project.get("squash_option") in ("always", "default_on")
    green = project.get("only_allow_merge_if_pipeline_succeeds")
    return f"{method}{', squashes' if squash else ''}{', pipelines must succeed' if green else ''}"


def judge_images(project: Json, needs: Needs) -> Iterator[Setting]:
    """Only where this project's own pipeline keeps its images there."""
    if not needs.images:
        return
    level = project.get("container_registry_access_level")
    if level == "disabled" or (level is None and project.get("container_registry_enabled") is False):
        yield Setting(
            "images", "warn", f"{shown(project)}: its container registry is off, so `build` has no CI_REGISTRY_IMAGE.",
            "Settings > General > Visibility, project features, permissions > Container registry: on; or"
            " DOCKER_REGISTRY_HOST and DOCKER_REGISTRY_IMAGE for another one", page(project, "edit"),
        )  # fmt: skip
    else:
        yield Setting("images", "ok", f"{shown(project)}: its container registry is on.")


def judge_job_tokens(scope: Json, allowed: object, project: Json) -> Iterator[Setting]:
    if scope.get("inbound_enabled") is False:
        yield Setting(
            "job-tokens", "warn",
            f"{shown(project)}: the jobs of every project on this server may use their token here, as far as the person"
            " who started them may.",
            "Settings > CI/CD > Job token permissions: only this project and those of the allowlist",
            page(project, "-/settings/ci_cd#js-token-access"),
        )  # fmt: skip
    else:
        listed = allowed if isinstance(allowed, list) else ()
        others = [shown(one) for one in listed if one.get("id") != project.get("id")]
        more = f" and those of {', '.join(others)}" if others else ""
        yield Setting(
            "job-tokens", "ok",
            f"{shown(project)}: with job tokens only its own jobs get in{more}, beside groups of the allowlist.",
        )  # fmt: skip
