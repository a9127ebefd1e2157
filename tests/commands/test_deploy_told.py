"""What GitLab and GitHub are told of a deployment: statuses of commits, the environment's page, and no more."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.api import Call, FakeApi
from tests.fakes.clock import Clock
from tests.fakes.faults import FAULTS, Fault
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer

CONFIG = """\
version: 1
forge: {forge}
apps:
  shop: {{path: "apps/shop/{{environment}}"}}
environments:
  live:
    url: https://shop.example.com
    destination: {{to: "simulated:live.json", namespace: live}}
    createNamespace: true
"""
OVERLAY = b"resources: [web.yaml]\nimages:\n- {name: registry.example.com/shop/web, newTag: '1'}\n"
WEB = b"""\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {}}
spec:
  progressDeadlineSeconds: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {simulated.ci-gitops/ready-after: 50ms}
    spec: {containers: [{name: web, image: registry.example.com/shop/web}]}
"""
SOURCE = "octo/web"
JOB = "https://ci.example.com/jobs/7"
STATUS = "ci-gitops/live"


@dataclass
class Shop:
    """The config repository octo/config, the application octo/web, and what their forge was told."""

    cli: Cli
    folder: Path
    server: GitServer
    url: str
    source: str  # the application's commit
    config: FakeApi
    web: FakeApi

    def __call__(self, *words: object, **env: str) -> Ran:
        kind = "github" if isinstance(self.config, FakeGitHub) else "gitlab"
        given = {"CI_GITOPS_TOKEN": self.server.password, "CI_GITOPS_FORGE": kind, **env}
        return self.cli("-o", "json", *words, "--environment", "live", "--repo", self.url, cwd=self.folder, env=given)

    def update(self, tag: str) -> Ran:
        """What the application's pipeline does."""
        return self("update", f"registry.example.com/shop/web:{tag}", GITLAB_CI="true", CI_PROJECT_PATH=SOURCE,
                    CI_COMMIT_SHA=self.source, CI_PIPELINE_ID="812")  # fmt: skip

    def deploy(self, *words: object, **env: str) -> Ran:
        return self("deploy", *words, **{"CI_JOB_URL": JOB, **env})

    @property
    def head(self) -> str:
        return self.server.head("octo/config") or ""

    def told(self, forge: FakeApi) -> list[tuple[str, str, Mapping[str, Any]]]:
        """Commit, state and all else of each status that was posted."""
        posted = [call for call in forge.calls if call.method == "POST" and "/statuses/" in call.path]
        return [(call.parts[-1], call.body["state"], call.body) for call in posted if _is_commit_status(call)]


def _is_commit_status(call: Call) -> bool:
    return len(call.parts[-1]) == 40


def _gitlab(server: GitServer) -> tuple[FakeApi, FakeApi]:
    web, config = (FakeGitLab(server, Clock(), repository=name) for name in (SOURCE, "octo/config"))
    web.state.id, web.state.path, config.state.path = 8, SOURCE, "octo/config"
    server.user, server.password = "oauth2", config.state.user("robot").token
    return config, web


def _github(server: GitServer) -> tuple[FakeApi, FakeApi]:
    web, config = (FakeGitHub(server, name) for name in (SOURCE, "octo/config"))
    web.token("robot")
    server.user, server.password = "x-access-token", config.token("robot")
    return config, web


FORGES: Mapping[str, Callable[[GitServer], tuple[FakeApi, FakeApi]]] = {"gitlab": _gitlab, "github": _github}


def _shop(forge: str, cli: Cli, server: GitServer, folder: Path) -> Shop:
    server.create(SOURCE, {"main.py": b"print()\n"})
    url = server.create("octo/config", {
        ".ci-gitops.yaml": CONFIG.format(forge=forge).encode(), "apps/shop/live/kustomization.yaml": OVERLAY,
        "apps/shop/live/web.yaml": WEB,
    })  # fmt: skip
    config, web = FORGES[forge](server)
    marks = ("octo%2Fweb", "/projects/8", "/octo/web")
    server.api = lambda handler, body: (web if any(mark in handler.path for mark in marks) else config).serve(
        handler, body
    )
    return Shop(cli, folder, server, url, server.head(SOURCE) or "", config, web)


@pytest.fixture(params=FORGES)
def shop(request: pytest.FixtureRequest, cli: Cli, git_server: GitServer, tmp_path: Path) -> Iterator[Shop]:
    made = _shop(request.param, cli, git_server, tmp_path)
    yield made
    assert made.config.breaches + made.web.breaches == []


@pytest.fixture
def gitlab(cli: Cli, git_server: GitServer, tmp_path: Path) -> Iterator[Shop]:
    made = _shop("gitlab", cli, git_server, tmp_path)
    yield made
    assert made.config.breaches + made.web.breaches == []


def test_both_commits_and_the_environment_s_page_say_how_it_went(shop: Shop) -> None:
    assert shop.update("2").code == 0
    ran = shop.deploy()
    assert ran.code == 0, ran.err
    first, last = shop.told(shop.config)
    assert (first[0], last[0]) == (shop.head, shop.head)
    assert (first[1], last[1]) in (("running", "success"), ("pending", "success"))
    assert last[2]["target_url"] == JOB
    assert last[2]["description"] == "1 app deployed to live, healthy"
    assert {body.get("name") or body.get("context") for _, _, body in shop.told(shop.config)} == {STATUS}
    ((sha, state, body),) = shop.told(shop.web)
    assert (sha, state, body["description"]) == (shop.source, "success", "web:2 runs in live, healthy")
    if isinstance(shop.config, FakeGitLab):
        assert [(one.name, one.url) for one in shop.config.state.environments] == [("live", "https://shop.example.com")]
    elif isinstance(shop.config, FakeGitHub):
        (states,) = shop.config.deployment_statuses.values()
        assert states[-1]["environment_url"] == "https://shop.example.com"
    calls = len(shop.config.calls)
    assert shop.deploy().code == 0
    assert len(shop.config.calls) == calls, "a pass that changes nothing tells nothing"


def test_a_deployment_that_fails_is_told_as_that(gitlab: Shop) -> None:
    assert gitlab.update("broken").code == 0
    ran = gitlab.deploy("--timeout", "20s")
    assert ran.code == 4, ran.err
    state, body = gitlab.told(gitlab.config)[-1][1:]
    assert state == "failed"
    assert body["description"].startswith("shop: ")
    ((sha, state, body),) = gitlab.told(gitlab.web)
    assert (sha, state) == (gitlab.source, gitlab.told(gitlab.config)[-1][1])
    assert body["description"].startswith("web:broken in live: ")


def test_a_project_that_the_token_may_not_write_to_fails_nothing(shop: Shop) -> None:
    shop.web.faults.add(Fault("status", 403), times=99)
    assert shop.update("2").code == 0
    ran = shop.deploy()
    assert ran.code == 0, ran.err
    assert ran.err.count(f"of {SOURCE}") == 1
    assert shop.told(shop.config)[-1][1] == "success"


def test_a_forge_that_is_broken_fails_nothing(gitlab: Shop) -> None:
    gitlab.config.faults.add(FAULTS["429 for an hour"], times=99)
    ran = gitlab.deploy()
    assert ran.code == 0, ran.err
    assert "The forge" in ran.err
    assert ran.json["outcome"] == "succeeded"


def test_a_job_s_own_token_records_the_deployment_and_says_once_what_it_may_not(gitlab: Shop) -> None:
    assert isinstance(gitlab.config, FakeGitLab)
    gitlab.config.state.user("robot").kind = "job"
    gitlab.server.user, token = "gitlab-ci-token", gitlab.config.state.user("robot").token
    gitlab.server.password = token
    ran = gitlab.deploy(CI_GITOPS_TOKEN="", CI_JOB_TOKEN=token, CI_SERVER_HOST="localhost", GITLAB_CI="true",
                        CI_SERVER_URL=gitlab.server.base)  # fmt: skip
    assert ran.code == 0, ran.err
    assert [one.status for one in gitlab.config.state.deployments] == ["success"]
    assert ran.err.count("the CI job token may not do this") == 1


def test_in_its_own_pipeline_a_job_is_not_said_to_run(gitlab: Shop) -> None:
    """A pipeline would wait for a status that nobody ends, where the job is killed."""
    own = {"GITLAB_CI": "true", "CI_PROJECT_URL": gitlab.url.removesuffix(".git"), "CI_COMMIT_SHA": gitlab.head}
    assert gitlab.deploy(**own).code == 0
    assert [state for _, state, _ in gitlab.told(gitlab.config)] == ["success"]


def test_a_run_that_is_stopped_is_running_no_more(gitlab: Shop) -> None:
    patient = WEB.replace(b"progressDeadlineSeconds: 1", b"progressDeadlineSeconds: 600")
    overlay = OVERLAY.replace(b"'1'", b"stall")
    gitlab.server.commit("octo/config", {
        "apps/shop/live/web.yaml": patient, "apps/shop/live/kustomization.yaml": overlay,
    })  # fmt: skip
    env = {**gitlab.cli.env, "CI_GITOPS_TOKEN": gitlab.server.password}
    command = [sys.executable, "-m", "ci_gitops", "deploy", "--environment", "live", "--repo", gitlab.url]
    with subprocess.Popen(command, cwd=gitlab.folder, env=env, stderr=subprocess.PIPE) as running:
        while not gitlab.told(gitlab.config):
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"It ended with {running.wait(0.05)} before it was told.")
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)
    assert running.returncode == 130
    assert [state for _, state, _ in gitlab.told(gitlab.config)] == ["running", "canceled"]


def test_a_part_of_an_environment_is_no_deployment_of_it(gitlab: Shop) -> None:
    """Gates and promotions would take the other apps for deployed, too."""
    assert isinstance(gitlab.config, FakeGitLab)
    cart = "apps:\n  cart: {path: 'apps/cart/{environment}'}"
    gitlab.server.commit("octo/config", {
        ".ci-gitops.yaml": CONFIG.format(forge="gitlab").replace("apps:", cart).encode(),
        "apps/cart/live/kustomization.yaml": OVERLAY.replace(b"web", b"cart"),
        "apps/cart/live/cart.yaml": WEB.replace(b"web", b"cart"),
    })  # fmt: skip
    assert gitlab.deploy("--app", "cart").code == 0
    assert gitlab.config.state.deployments == []
    assert gitlab.told(gitlab.config)[-1][1] == "success"
    assert gitlab.deploy().code == 0
    assert [one.status for one in gitlab.config.state.deployments] == ["success"]


def test_who_does_not_wait_for_health_says_nothing(gitlab: Shop) -> None:
    assert gitlab.deploy("--no-wait").code == 0
    assert gitlab.told(gitlab.config) == gitlab.told(gitlab.web) == []
