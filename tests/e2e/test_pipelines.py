"""The pipeline template run as GitLab runs it: job by job in shells, on real Git, a registry, buildah and a simulated
cluster, with GitLab's API as its fake has it.
"""

from __future__ import annotations

import json

import pytest

from tests.rig.git_server import run_git
from tests.rig.image import Images
from tests.rig.pipelines import MERGE_REQUEST, SCHEDULE, said
from tests.rig.team import APPLICATION, DEPLOYMENT, FEATURE, NAME, Team


@pytest.mark.timeout(900)  # the image may be built before
def test_one_repository_from_a_push_to_a_promotion_with_its_plan_in_our_image(team: Team, images: Images) -> None:
    """The image that the templates ask for is this tree's, in which a job builds with buildah as its user."""
    team.work_in(images("full"))
    from_a_push_to_a_promotion_with_its_plan(team)


@pytest.mark.full
def test_one_repository_from_a_push_to_a_promotion_with_its_plan_in_shells(team: Team) -> None:
    from_a_push_to_a_promotion_with_its_plan(team)


def from_a_push_to_a_promotion_with_its_plan(team: Team) -> None:
    project = team.project(NAME, "all", {**team.files(), **APPLICATION})
    commit = run_git("-C", project.folder, "rev-parse", "HEAD").strip()
    out = team.run(project)
    assert f"newTag: '{commit}'" in team.overlay("staging")
    written = team.server.head(NAME)
    assert written
    assert written[:12] in said(out, "deploy-staging"), "it deploys the commit of its own pipeline's update"
    assert team.running("staging") == [f"{team.image}:{commit}"]
    assert team.running("production") == [f"{team.image}:1"]
    (request,) = team.rig.forge("bob").find()
    assert request.source == "ci-gitops/production/shop"

    team.pull(project, NAME, request.source)
    asked = {**MERGE_REQUEST, "CI_MERGE_REQUEST_IID": str(request.iid), "CI_COMMIT_REF_NAME": request.source,
             "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": request.source, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
             "CI_MERGE_REQUEST_PROJECT_ID": "1", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1"}  # fmt: skip
    out = team.run(project, asked)
    assert "build-image" not in out, "a promotion builds nothing, not even for a preview"
    summary = json.loads(project.artifact("plan-production", "ci-gitops-plan.json"))
    assert summary == {"create": 0, "update": 1, "delete": 0}
    assert "testsuite" in project.artifact("plan-production", "ci-gitops-plan.xml")
    notes = [note for call in team.rig.gitlab.asked("POST", "/notes") for note in [call.body["body"]]]
    assert any("production" in note and commit in note for note in notes)


def test_red_tests_write_nothing(team: Team) -> None:
    project = team.project(NAME, "all", {**team.files(), **APPLICATION, "red": ""})
    before = team.server.head(NAME)
    out = team.run(project, ok=False)
    assert "Built" in said(out, "build-image")
    assert team.server.head(NAME) == before
    assert not team.live.exists()


@pytest.mark.full
@pytest.mark.timeout(900)
def test_one_repository_goes_the_whole_road_and_back_in_our_image(team: Team, images: Images) -> None:
    team.work_in(images("full"))
    the_whole_road_and_back(team)


@pytest.mark.full
def test_one_repository_goes_the_whole_road_and_back_in_shells(team: Team) -> None:
    the_whole_road_and_back(team)


def the_whole_road_and_back(team: Team) -> None:
    """Schedules merge and deploy, the merge builds nothing, drift is a warning, a rollback is a click."""
    project = team.project(NAME, "all", {**team.files(), **APPLICATION})
    commit = run_git("-C", project.folder, "rev-parse", "HEAD").strip()
    team.run(project)
    (request,) = team.rig.forge("bob").find()
    team.rig.approve("alice", request.iid, request.head_sha)
    team.rig.gitlab.pipeline(request.head_sha, "success")
    team.pull(project, NAME)
    out = team.run(project, SCHEDULE)
    assert "Merged" in said(out, "merge-ready")
    assert f"newTag: '{commit}'" in team.overlay("production")

    team.pull(project, NAME)
    out = team.run(project)
    assert "build-image" not in out
    assert "update-config" not in out
    assert team.running("production") == [f"{team.image}:{commit}"]

    out = team.run(project, SCHEDULE, "drift-production")
    assert "PASS" in out
    project.commit(
        {"apps/shop/overlays/production/deployment.yaml": DEPLOYMENT.replace("spec:\n", "spec:\n  replicas: 2\n", 1)}
    )
    out = team.run(project, SCHEDULE, "drift-production")
    assert "WARN" in out
    assert "replicas" in said(out, "drift-production")

    team.pull(project, NAME)
    team.run(project, {}, "rollback-production")
    (back,) = team.rig.forge("bob").find()
    assert back.source == "ci-gitops/production/shop"


@pytest.mark.full
def test_two_repositories(team: Team) -> None:
    config = team.project(NAME, "configuration", team.files())
    application = team.project("group/shop", "application", APPLICATION, repo=team.server.url(NAME))
    commit = run_git("-C", application.folder, "rev-parse", "HEAD").strip()
    out = team.run(application)
    assert "deploy-staging" not in out
    assert f"newTag: '{commit}'" in team.overlay("staging")
    team.pull(config, NAME)
    team.run(config)
    assert team.running("staging") == [f"{team.image}:{commit}"]
    assert [each.source for each in team.rig.forge("bob").find()] == ["ci-gitops/production/shop"]


@pytest.mark.full
def test_a_preview_comes_and_goes_with_its_merge_request(team: Team) -> None:
    project = team.project(NAME, "all", {**team.files(), **APPLICATION})
    commit = team.feature(project)
    jobs = ("build-image", "preview-create", "preview-deploy")
    team.run(project, FEATURE, *jobs)
    environment = "preview-group-config-5"
    assert team.running(environment) == [f"{team.image}:{commit}"]
    team.run(project, FEATURE, *jobs)
    before = len(team.server.messages(NAME))
    team.run(project, FEATURE, "preview-stop")
    assert len(team.server.messages(NAME)) == before + 1
    assert f"{environment}.yaml" not in run_git(
        "--git-dir", team.server.bare(NAME), "ls-tree", "-r", "--name-only", "main"
    )
    out = team.run(project, SCHEDULE, "preview-prune")
    assert "PASS" in out
