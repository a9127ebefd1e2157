"""`promote` on GitLab and GitHub: by records of ours, and by those of the forge where no cluster is to be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.forges.base import DeploymentState
from ci_gitops.errors import SettingsError, TemporaryError, UnhealthyError
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.workplace import Reach, Workplaces
from tests.fakes.clock import Clock
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.rig.git_server import GitServer
from tests.rig.promoting import PATH, Road
from tests.rig.registry import RegistryServer

NAME = "group/config"
AWAY = "destination: {context: staging-cluster}"
OVERLAY = PATH.format(app="shop", environment="staging")


@pytest.fixture(params=["gitlab", "github"])
def forge(request: pytest.FixtureRequest, git_server: GitServer) -> Iterator[str]:
    """Its kind; the fake answers at the address of the Git server as soon as the repository is there."""
    yield request.param
    fake: Any = git_server.fake  # type: ignore[attr-defined]
    assert not fake.breaches, "\n".join(map(str, fake.breaches))


def road_on(forge: str, server: GitServer, folder: Path, registry: RegistryServer, staging: str = "") -> Road:
    road = Road(
        folder, registry, production="write: merge-request", staging=staging, name=NAME,
        forge=forge, server=server,
    )  # fmt: skip
    fake: Any
    if forge == "gitlab":
        server.user = "oauth2"
        fake = FakeGitLab(server, Clock(), repository=NAME)
        token = fake.state.user("robot").token
    else:
        server.user = "x-access-token"
        fake = FakeGitHub(server, NAME)
        token = fake.token("robot")
    server.password, server.fake = token, fake  # type: ignore[attr-defined]
    road.variables = {"CI_GITOPS_TOKEN": token, "CI_GITOPS_FORGE": forge}
    return road


def tell(road: Road, sha: str, state: DeploymentState) -> None:
    """What a job that deploys tells the forge."""
    run, _ = road.run()
    with Workplaces(run, Reach(road.server.url(NAME))) as places:
        place = places.root()
        forge_for(run, place.repository, road.forge).record_deployment("staging", sha, "main", state)


def staged(road: Road, tag: str) -> str:
    """Staging at that version, in Git; the commit."""
    text = road.read(environment="staging").replace("'1'", f"'{tag}'")
    return road.server.commit(NAME, {OVERLAY: text.encode()})


def test_from_staging_to_a_merged_request(
    forge: str, git_server: GitServer, tmp_path: Path, registry: RegistryServer
) -> None:
    road = road_on(forge, git_server, tmp_path, registry)
    digest = road.push("2")
    road.deployed("shop", f"{road.web}:2")
    opened = road()
    assert opened.result, opened.error
    assert opened.json["mergeRequest"]["iid"] == 1
    road.command("merge", "--mr", 1, "--forge", forge)
    assert digest in road.read()
    assert road().json["outcome"] == "unchanged"


def test_the_forges_deployments_where_no_cluster_is_to_be_reached(
    forge: str, git_server: GitServer, tmp_path: Path, registry: RegistryServer
) -> None:
    road = road_on(forge, git_server, tmp_path, registry, AWAY)
    digest = road.push("2")
    nothing = road(dry_run=True)
    assert nothing.code == 5
    assert "What runs in staging cannot be read" in str(nothing.error)
    deployed = staged(road, "2")
    tell(road, deployed, "success")
    staged(road, "3")  # declared, and not deployed
    done = road(dry_run=True)
    assert done.result, done.error
    (promoted,) = done.json["promoted"]
    assert (promoted["evidence"], promoted["revision"]) == ("forge", deployed)
    assert [each["digest"] for each in promoted["images"]] == [digest]
    assert "The forge's deployment record says that" in done.text
    assert "staging: the forge's deployment records say what runs" in done.said


def test_a_deployment_that_the_forge_calls_failed_is_refused(
    forge: str, git_server: GitServer, tmp_path: Path, registry: RegistryServer
) -> None:
    road = road_on(forge, git_server, tmp_path, registry, AWAY)
    road.push("2")
    tell(road, road.server.head(NAME) or "", "success")
    tell(road, staged(road, "2"), "failed")
    done = road()
    assert (done.code, done.error and "is not healthy" in done.error.message) == (5, True)


def test_waiting_for_what_only_the_forge_can_tell(
    forge: str, git_server: GitServer, tmp_path: Path, registry: RegistryServer
) -> None:
    """`update --wait deployed` from a job that does not reach the cluster."""
    road = road_on(forge, git_server, tmp_path, registry, AWAY)
    words = ("update", f"{road.web}:2", "--environment", "staging", "--wait", "deployed", "--timeout", "1s")
    with pytest.raises(SettingsError, match="There is no kubeconfig"):  # nobody knows of any deployment
        road.command(*words)
    deployed = road.server.head(NAME)
    assert deployed
    tell(road, staged(road, "1"), "success")
    with pytest.raises(TemporaryError, match="the forge has no deployment of"):
        road.command("update", f"{road.web}:3", *words[2:])
    tell(road, road.server.head(NAME) or "", "success")
    assert "The forge's deployment record says that" in road.command("update", f"{road.web}:3", *words[2:]).text
    tell(road, road.server.head(NAME) or "", "failed")
    with pytest.raises(UnhealthyError, match="failed at"):
        road.command("update", f"{road.web}:3", *words[2:])
