"""What ran for a commit on GitLab, as GitLab counts it for its own "pipelines must succeed", but without ours.

A status that somebody posts joins the commit's pipeline, or makes one of source `external`. So our own would wait
for itself: external pipelines do not count as pipelines here, and a pipeline that only our own status holds up is
judged by the others.
https://docs.gitlab.com/api/commits/#commit-status
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ci_gitops.adapters.forges import gitlab_records as records
from ci_gitops.adapters.forges.base import Checks, CheckState, CommitStatus, outgoing
from ci_gitops.adapters.forges.gitlab_api import GitLabApi, quoted

Json = Mapping[str, Any]
_PASSED = ("success", "skipped")
_CONFIG = ".gitlab-ci.yml"
_LIMIT = 255  # characters of a description
_TRIES = 4


def checks_of(api: GitLabApi, sha: str) -> Checks:
    pipelines = _pipelines(api, {"sha": sha})
    pipeline = _newest_pipeline(api, sha, pipelines)
    listed = api.all(api.at(f"/repository/commits/{sha}/statuses"), {"all": False})
    external = {one["id"] for one in pipelines if one.get("source") == "external"}
    counted = [one for one in listed if _counts(one, pipeline, external)]
    statuses = _newest_of_each_name(counted)
    state = _state(pipeline, counted)
    commit = api.record(api.get(api.at(f"/repository/commits/{sha}")).data, "commit")
    return Checks(
        sha,
        state,
        statuses,
        has_ci=bool(pipeline) or any(not one.ours for one in statuses) or _has_ci(api, sha),
        committed_at=records.seconds(commit.get("committed_date")),
    )


def post_status(api: GitLabApi, sha: str, status: CommitStatus, ref: str) -> None:
    """The same state again is refused by GitLab and is what was wanted; a concurrent update is waited for."""
    body = {"state": status.state, "name": outgoing(status.name), "description": outgoing(status.description)[:_LIMIT]}
    if status.url:
        body["target_url"] = status.url
    if ref:
        body["ref"] = ref

    # A post whose answer was lost may be repeated: the state that it sets is the same.
    def post() -> None:
        for attempt in range(1, _TRIES + 1):
            reply = api.post(api.at(f"/statuses/{sha}"), body, accept=(400,) if attempt == _TRIES else (400, 409))
            if reply.ok or "transition" in reply.said.lower():
                return
            if reply.status == 400:
                raise api.refused(f"the status {status.name}", reply)
            api.site.wait(float(attempt))

    api.once(post, lambda: None)


def _pipelines(api: GitLabApi, query: Json) -> Sequence[Json]:
    """The newest ones; none only where the project has no CI: what we may not see is no leave to merge."""
    unseen = () if _runs_pipelines(api.project) else (403, 404)
    return api.all(api.at("/pipelines"), {**query, "order_by": "id", "sort": "desc"}, most=100, accept=unseen)


def _runs_pipelines(project: Json) -> bool:
    return project.get("builds_access_level") != "disabled" and project.get("jobs_enabled") is not False


def _newest_pipeline(api: GitLabApi, sha: str, pipelines: Sequence[Json]) -> Json | None:
    found = [one for one in pipelines if one.get("source") != "external"]
    if api.project.get("merge_pipelines_enabled"):
        found += _merged_results(api, sha)
    return max(found, key=lambda one: int(one["id"]), default=None)


def _merged_results(api: GitLabApi, sha: str) -> list[Json]:
    """Pipelines of the result of merging: they run for a commit that GitLab makes, not for the head."""
    found = []
    for one in api.all(api.at(f"/repository/commits/{sha}/merge_requests"), {"state": "opened"}, most=20):
        data = api.record(api.get(api.at(f"/merge_requests/{one['iid']}")).data, "merge request")
        head = data.get("head_pipeline")
        if data.get("sha") == sha and isinstance(head, Mapping) and head.get("source") != "external":
            found.append(head)
    return found


def _counts(status: Json, pipeline: Json | None, external: set[Any]) -> bool:
    """Jobs of pipelines that a newer one has replaced do not count."""
    of = status.get("pipeline_id")
    return of is None or of in external or (pipeline is not None and of == pipeline["id"])


def _newest_of_each_name(listed: Sequence[Json]) -> tuple[CommitStatus, ...]:
    newest: dict[str, Json] = {}
    for one in sorted(listed, key=lambda one: int(one.get("id") or 0)):
        newest[str(one.get("name"))] = one
    return tuple(records.to_status(one) for _, one in sorted(newest.items()))


def _state(pipeline: Json | None, listed: Sequence[Json]) -> CheckState | None:
    if pipeline is None:
        return None
    state = records.check_state(pipeline.get("status"))
    members = [records.to_status(one) for one in listed if one.get("pipeline_id") == pipeline["id"]]
    ours_holds = any(one.ours and one.state not in _PASSED for one in members)
    if state in _PASSED or not ours_holds:
        return state
    others = [one.state for one in members if not one.ours and one.blocking]
    return next((one for one in others if one not in _PASSED), "success")


def _has_ci(api: GitLabApi, sha: str) -> bool:
    """A CI configuration at this commit, or anything that ran for the last commits of the target branch."""
    project = api.project
    if not _runs_pipelines(project):
        return _ran_elsewhere(api)
    path = project.get("ci_config_path") or _CONFIG
    if "@" in path or "://" in path:  # it lies in another project or on a web server
        return True
    if api.get(api.at(f"/repository/files/{quoted(path)}"), {"ref": sha}, accept=(404,)).ok:
        return True
    return any(one.get("source") != "external" for one in _pipelines(api, {})[:20]) or _ran_elsewhere(api)


def _ran_elsewhere(api: GitLabApi) -> bool:
    """Statuses of other systems on the default branch's head."""
    branch = quoted(api.project.get("default_branch") or "")
    listed = api.all(api.at(f"/repository/commits/{branch}/statuses"), {"all": False}, most=100, accept=(404,))
    return any(not records.to_status(one).ours for one in listed)
