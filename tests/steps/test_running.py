"""Where it is read what runs in an environment: records, then the forge, then Git, and never silently the next."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from ci_gitops.adapters.forges.base import DeploymentState, Forge
from ci_gitops.core.running import Running
from ci_gitops.errors import RefusedError
from ci_gitops.output import Output
from ci_gitops.run import Run
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.running import running_in
from ci_gitops.steps.workplace import Reach, Workplaces
from tests.rig.git_server import BareRepositories, run_git

OVERLAY = "images:\n- name: web\n  newTag: '{}'\n"
PATH = "apps/shop/staging/kustomization.yaml"
DEPLOYMENT = (
    b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n"
    b"      containers: [{name: web, image: web}]\n"
)


class Team:
    """A config repository whose environment `staging` is as the test wants it; one commit for each version."""

    def __init__(self, folder: Path, staging: str) -> None:
        root = folder / "server"
        root.mkdir()
        self.server = BareRepositories(root)
        self.folder, self.said = folder, io.StringIO()
        apps = "apps: {shop: {path: 'apps/shop/{environment}'}}\n"
        config = f"name: acme\nenvironments: {{staging: {{{staging}}}}}\n{apps}"
        resources = "resources: [deployment.yaml]\n"
        self.server.create("config", {
            ".ci-gitops.yaml": config.encode(), "apps/shop/staging/deployment.yaml": DEPLOYMENT,
            PATH: (resources + OVERLAY.format(1)).encode(),
        })  # fmt: skip
        first = self.server.head("config")
        assert first
        two = (resources + OVERLAY.format(2)).encode()
        self.commits = [first, *self.server.history("config", [("Two", {PATH: two})])]

    def __call__(self, *deployed: tuple[int, DeploymentState], **ask: str) -> Running:
        output = Output(err=self.said)
        run = Run(environ={"PATH": os.environ["PATH"], "HOME": str(self.folder)}, cwd=self.folder, output=output)
        with Workplaces(run, Reach(self.server.url("config"))) as places:
            place = places.root()
            forge: Forge = forge_for(run, place.repository, "local")
            for commit, state in deployed:
                forge.record_deployment("staging", self.commits[commit], "main", state)
            asked = Ask(**ask) if ask else None  # type: ignore[arg-type]
            (found,) = running_in(places, place, place.settings.environment("staging"), ask=asked, forge=forge)
            return found


def test_git_alone_where_somebody_else_deploys(tmp_path: Path) -> None:
    team = Team(tmp_path, "operator: external, destination: {context: nowhere}")
    found = team()
    assert (found.evidence, found.healthy, found.images) == ("git", True, ("web:2",))
    assert (found.revision, found.since > 0) == (team.commits[1], True)
    assert "Git alone says what runs in staging (operator: external)" in found.reason


def test_git_alone_knows_since_when_where_our_commit_wrote_it(tmp_path: Path) -> None:
    """What others commit afterwards does not begin its time anew, unless it changes what runs."""
    team = Team(tmp_path, "operator: external")
    ours = "Update shop\n\nCi-Gitops-Image: staging/shop web web:2 -> web:3\n"
    kustomization = "resources: [deployment.yaml]\n" + OVERLAY
    began = time.time()
    for number, (message, files) in enumerate((
        (ours, {PATH: kustomization.format(3).encode()}),
        ("Say hello", {"README.md": b"Hello\n"}),
        ("By hand", {PATH: kustomization.format(4).encode()}),
    ), 1):  # fmt: skip
        team.server.history("config", [(message, files)], after=1_000 * number)
        assert team().since - began == pytest.approx({1: 1_000, 2: 1_000, 3: 3_000}[number], abs=500)


def test_git_alone_where_there_is_no_destination(tmp_path: Path) -> None:
    found = Team(tmp_path, "write: push")()
    assert (found.evidence, found.images) == ("git", ("web:2",))
    assert "it has no destination" in found.reason


def test_the_forge_where_there_is_no_way_to_the_cluster(tmp_path: Path) -> None:
    team = Team(tmp_path, "destination: {context: nowhere}")
    found = team((0, "success"), (1, "running"))
    assert (found.evidence, found.healthy, found.images) == ("forge", True, ("web:1",))
    assert found.revision == team.commits[0]
    assert "staging: the forge's deployment records say what runs. What runs in staging cannot be read" in (
        team.said.getvalue()
    )


def test_a_deployment_that_the_forge_calls_failed(tmp_path: Path) -> None:
    found = Team(tmp_path, "destination: {context: nowhere}")((0, "success"), (1, "failed"))
    assert (found.evidence, found.healthy, found.since) == ("forge", False, 0)
    assert "failed at" in found.reason


def test_a_deployment_of_another_branch_is_nothing_to_promote(tmp_path: Path) -> None:
    """Nobody has agreed to what is there."""
    team = Team(tmp_path, "destination: {context: nowhere}")
    run_git("--git-dir", team.server.bare("config"), "branch", "try", "main")
    team.commits.append(team.server.commit("config", {"README.md": b"Try\n"}, branch="try"))
    found = team((0, "success"), (2, "success"))
    assert (found.evidence, found.healthy, found.images) == ("forge", False, ())
    assert "is not on main: somebody has deployed another branch" in found.reason


def test_what_cannot_be_read_is_refused_with_the_missing_setting(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="What runs in staging cannot be read: There is no kubeconfig") as refused:
        Team(tmp_path, "destination: {context: nowhere}")()
    assert "KUBECONFIG" in (refused.value.hint or "")


def test_records_where_the_call_says_that_they_are(tmp_path: Path) -> None:
    found = Team(tmp_path, "operator: external")(destination=f"simulated:{tmp_path}/cluster.json")
    assert (found.evidence, found.deployed) == ("records", False)
