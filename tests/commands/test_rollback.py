"""`rollback` and `update --wait deployed`, with a simulated cluster and with folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.forges import open_forge
from ci_gitops.adapters.forges.base import NewMergeRequest
from ci_gitops.adapters.git import GitAccess, Person, Repository
from ci_gitops.core.mergerequest_text import Block, put_block
from ci_gitops.core.trailers import ImageMove, Trailers, format_trailers, parse_trailers
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import BareRepositories, run_git

WEB = "localhost:1/web"
HOLDS = ".ci-gitops/holds/live.yaml"
OVERLAY = "apps/{app}/overlays/live/kustomization.yaml"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {app}}}
spec:
  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec: {{containers: [{{name: main, image: "localhost:1/web"}}]}}
"""


def files(app: str) -> dict[str, bytes]:
    deployment = DEPLOYMENT.format(app=app)
    overlay = f'resources: [../../base]\nimages:\n- name: {WEB}\n  newTag: "1"\n'
    return {
        f"apps/{app}/base/deployment.yaml": deployment.encode(),
        f"apps/{app}/base/kustomization.yaml": b"resources: [deployment.yaml]\n",
        OVERLAY.format(app=app): overlay.encode(),
    }


class Live:
    """An environment `live` of a config repository on a server, deployed to a file or a folder."""

    def __init__(
        self, cli: Cli, server: BareRepositories, destination: str, more: str = "", apps: tuple[str, ...] = ("shop",)
    ):
        self.cli, self.server = cli, server
        config = f"name: acme\nenvironments: {{live: {{{destination}{more}}}}}\n"
        tree = {path: text for app in apps for path, text in files(app).items()}
        self.url = server.create("config", {".ci-gitops.yaml": config.encode(), **tree})

    def __call__(self, command: str, *words: object, code: int = 0) -> Ran:
        ran = self.cli("-o", "json", command, "--repo", self.url, "--environment", "live", *words)
        assert ran.code == code, (ran.out, ran.err)
        return ran

    def bring(self, *versions: str, app: str = "shop", code: int = 0) -> None:
        for version in versions:
            self("update", f"{WEB}:{version}", "--app", app)
            self("deploy", "--timeout", "8s" if code else "90s", code=code)

    def rollback(self, *words: object, code: int = 0) -> Any:
        return self("rollback", *words, code=code).json

    def read(self, path: str = OVERLAY.format(app="shop"), branch: str = "main") -> str:
        return self.server.read("config", path, branch).decode()

    def head(self) -> str:
        head = self.server.head("config")
        assert head
        return head


@pytest.fixture
def live(cli: Cli, repositories: BareRepositories, tmp_path: Path) -> Live:
    return Live(cli, repositories, f"destination: 'simulated:{tmp_path}/cluster.json'")


def test_back_to_the_last_good_one_and_the_bad_one_is_held(live: Live) -> None:
    nothing = live.rollback(code=5)
    assert "Nothing was deployed to live yet" in nothing["error"]["message"]
    live.bring("1")
    assert "no earlier deployment that went well" in live.rollback(code=5)["error"]["message"]
    live.bring("2")
    before = live.head()
    planned = live.rollback("--dry-run")
    assert (planned["outcome"], live.head()) == ("planned", before)
    assert f"would hold {WEB}:2 in shop" in planned["notes"]

    done = live.rollback()
    assert (done["kind"], done["outcome"]) == ("UpdateResult", "pushed")
    assert done["rollback"][0]["images"] == [{"name": WEB, "old": f"{WEB}:2", "new": f"{WEB}:1"}]
    assert 'newTag: "1"' in live.read()
    assert f"app: shop\n  image: {WEB}:2\n  reason: shop in live was rolled back from" in live.read(HOLDS)
    assert live.server.messages("config")[0].startswith("Roll back shop in live to ")
    again = live.rollback()
    assert (again["outcome"], len(again["rollback"])) == ("unchanged", 1)

    held = live("update", f"{WEB}:2", "--app", "shop", code=5).json
    assert f"release --environment live --app shop --image {WEB}:2" in held["error"]["hint"]


def test_a_way_to_a_record_and_where_there_is_none(live: Live) -> None:
    live.bring("1", "2", "3")
    records = live("history").json["items"]
    assert [each["images"] for each in records] == [[f"{WEB}:3"], [f"{WEB}:2"], [f"{WEB}:1"]]
    assert "No record of shop in live is 'feedbeef'" in live.rollback("--to", "feedbeef", code=5)["error"]["message"]
    live.rollback("--app", "shpo", code=2)
    done = live.rollback("--to", records[2]["name"])
    assert done["rollback"][0]["record"] == records[2]["name"]
    assert 'newTag: "1"' in live.read()
    assert f"image: {WEB}:3" in live.read(HOLDS)
    live("deploy")
    # What is held is no way back, nor is what runs now.
    assert live.rollback()["rollback"][0]["images"] == [{"name": WEB, "old": f"{WEB}:1", "new": f"{WEB}:2"}]


def test_only_what_the_last_deployment_brought_goes_back(
    cli: Cli, repositories: BareRepositories, tmp_path: Path
) -> None:
    live = Live(cli, repositories, f"destination: 'dir:{tmp_path}/live'", apps=("cart", "shop"))
    live.bring("1")
    live.bring("2", app="cart")
    live.bring("2", app="shop")
    done = live.rollback()
    assert [each["app"] for each in done["rollback"]] == ["shop"]
    assert 'newTag: "2"' in live.read(OVERLAY.format(app="cart"))
    both = live.rollback("--app", "cart", "--app", "shop")
    assert [each["outcome"] for each in both["writes"]] == ["pushed", "unchanged"]
    assert 'newTag: "1"' in live.read(OVERLAY.format(app="cart"))
    live("hold", "--app", "shop", "--reason", "hands off")
    live("release", "--image", f"{WEB}:2", "--reason", "again")
    live("update", f"{WEB}:2", "--app", "shop", code=5)


def test_what_runs_must_be_known(cli: Cli, repositories: BareRepositories, tmp_path: Path) -> None:
    live = Live(cli, repositories, "write: push")
    assert "environments.live.destination" in live.rollback(code=5)["error"]["hint"]
    before = live.head()
    refused = live("update", f"{WEB}:2", "--wait", "deployed", code=5).json
    assert "environments.live.destination" in refused["error"]["hint"]
    assert live.head() == before
    assert live.rollback("--to", live.head()[:9], code=5)["error"]["message"].startswith("shop in live had the same")
    broken = live.rollback("--destination", "simulated:", code=5)["error"]
    assert "cannot be read" in broken["message"]


def test_a_way_back_by_merge_request_has_its_own_gates(
    cli: Cli, repositories: BareRepositories, tmp_path: Path
) -> None:
    more = ", write: merge-request, merge: now, gates: {approvals: 1}"
    live = Live(cli, repositories, f"destination: 'dir:{tmp_path}/live'", more)
    live("deploy")
    live("update", f"{WEB}:2", "--write", "push")
    live("deploy")
    repositories.reject("config", "GitLab: You are not allowed to push code to protected branches", "refs/heads/none")
    done = live.rollback("--forge", "local")
    assert (done["outcome"], done["mergeRequest"]["state"]) == ("merged", "merged")
    assert 'newTag: "1"' in live.read()
    forward = live("update", f"{WEB}:3", "--forge", "local", code=5)
    assert "approvals" in forward.json["error"]["message"]


def test_fewer_gates_are_for_what_really_goes_back(cli: Cli, repositories: BareRepositories, tmp_path: Path) -> None:
    more = ", write: merge-request, gates: {approvals: 1}"
    live = Live(cli, repositories, f"destination: 'dir:{tmp_path}/live'", more)
    live("deploy")
    live("update", f"{WEB}:2", "--write", "push")
    live("deploy")
    assert live.rollback("--forge", "local")["outcome"] == "opened"
    assert live("update", f"{WEB}:3", "--forge", "local").json["mergeRequest"]["iid"] == 1
    assert live("merge", "--forge", "local").json["waiting"][0]["gate"] == "approvals"
    # The way back stands alone again: what it takes back is gone from the branch.
    again = live.rollback("--forge", "local", "--to", live("history").json["items"][-1]["revision"])
    assert (again["outcome"], again["mergeRequest"]["iid"]) == ("updated", 1)
    assert len(live("merge", "--forge", "local").json["merged"]) == 1
    assert 'newTag: "1"' in live.read()

    # Nobody gets fewer gates by saying so: neither with what never ran, nor with more than what is told.
    good, overlay = repositories.messages("config")[0], live.read()
    back = next(line for line in good.splitlines() if line.startswith("Ci-Gitops-Cause: rollback "))
    for version, more_files in (("9", {}), ("2", {"apps/shop/base/deployment.yaml": b"{}\n"})):
        moves = Trailers((ImageMove("live", "shop", WEB, f"{WEB}:1", f"{WEB}:{version}"),))
        branch, said = "ci-gitops/live/shop", f"{format_trailers(moves)}\n{back}"
        run_git("--git-dir", repositories.bare("config"), "update-ref", f"refs/heads/{branch}", "refs/heads/main")
        files = {OVERLAY.format(app="shop"): overlay.replace('"1"', f'"{version}"').encode(), **more_files}
        repositories.commit("config", files, f"Roll back\n\n{said}", branch)
        with Repository.open(str(repositories.bare("config")), GitAccess()) as repository:
            forge = open_forge("local", repository, Person("mallory", "m@example.com"))
            text = put_block("", Block().updated(parse_trailers(said)))
            request = forge.open(NewMergeRequest(branch, "main", "Roll back", text))
            waiting = live("merge", "--forge", "local", "--mr", request.iid).json["waiting"]
            assert waiting[0]["gate"] == "approvals"
            forge.close(request.iid)


def test_update_waits_until_it_is_deployed(live: Live) -> None:
    live.bring("1")
    late = live("update", f"{WEB}:2", "--wait", "deployed", "--timeout", "3s", code=75).json
    assert late["outcome"] == "pushed"
    assert "was not deployed yet" in late["error"]["message"]
    waiting = [sys.executable, "-m", "ci_gitops", "-o", "json", "update", "--repo", live.url, "--environment", "live",
               f"{WEB}:2", "--wait", "deployed", "--timeout", "60s"]  # fmt: skip
    with subprocess.Popen(
        waiting, env=live.cli.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        live("deploy")
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert '"status": "healthy"' in out
    assert live("update", f"{WEB}:2", "--wait", "deployed").json["deployed"]["live"][0]["revision"] == live.head()


def test_a_deployment_that_fails_ends_the_wait(live: Live) -> None:
    live.bring("1")
    live("update", f"{WEB}:broken")
    live("deploy", "--timeout", "60s", code=4)
    failed = live("update", f"{WEB}:broken", "--wait", "deployed", "--timeout", "60s", code=4).json
    assert failed["outcome"] == "unchanged"
    assert failed["deployed"]["live"][0]["health"]["status"] != "healthy"
    assert 'newTag: "1"' in (live.rollback() and live.read())


def test_the_version_of_a_chart_goes_back_too(cli: Cli, repositories: BareRepositories, tmp_path: Path) -> None:
    release = (
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: redis}\nspec:\n"
        "  chart:\n    spec:\n      chart: redis\n      version: 19.1.0\n"
    )
    live = Live(cli, repositories, f"destination: 'dir:{tmp_path}/live'", apps=())
    repositories.commit("config", {"environments/live/cache/release.yaml": release.encode()})
    live("deploy")
    live("update", "--chart", "redis=20.0.0", "--app", "cache")
    live("deploy")
    done = live.rollback()
    assert (done["outcome"], done["rollback"][0]["charts"]) == ("pushed", [{"name": "redis", "new": "19.1.0"}])
    assert "version: 19.1.0\n" in live.read("environments/live/cache/release.yaml")
    assert len(repositories.messages("config")) == 4


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{level: {level}}}\n"


def overlay(app: str, tag: str, *more: str) -> bytes:
    resources = ", ".join(["../../base", *more])
    return f'resources: [{resources}]\nimages:\n- name: {WEB}\n  newTag: "{tag}"\n'.encode()


def test_every_file_of_a_target_goes_back_and_nothing_else(
    cli: Cli, repositories: BareRepositories, tmp_path: Path
) -> None:
    key = "apps/shop/overlays/live/release.pub"
    live = Live(
        cli,
        repositories,
        f"destination: 'dir:{tmp_path}/live', verify: {{cosign: {{key: {key}}}}}",
        apps=("cart", "shop"),
    )
    repositories.commit("config", {key: b"a key that got lost\n"})
    shared, script = "apps/common/limits.yaml", "apps/shop/overlays/live/run.sh"
    gone, new = "apps/shop/overlays/live/extra.yaml", "apps/shop/overlays/live/new.yaml"
    for app in ("cart", "shop"):
        repositories.commit("config", {OVERLAY.format(app=app): overlay(app, "1", "../../../common")})
    repositories.commit("config", {
        OVERLAY.format(app="shop"): overlay("shop", "1", "../../../common", "extra.yaml"),
        "apps/common/kustomization.yaml": b"resources: [limits.yaml]\n",
        shared: CONFIG_MAP.format(name="limits", level="low").encode(),
        gone: CONFIG_MAP.format(name="extra", level="some").encode(),
    })  # fmt: skip
    live("deploy")
    good = live.head()
    repositories.commit("config", {
        OVERLAY.format(app="shop"): overlay("shop", "2", "../../../common", "new.yaml"),
        shared: CONFIG_MAP.format(name="limits", level="high").encode(),
        gone: None, new: CONFIG_MAP.format(name="new", level="x").encode(), script: b"#!/bin/sh\n",
        key: b"the key of today\n",
        ".ci-gitops.yaml": repositories.read("config", ".ci-gitops.yaml") + b"# rules of today\n",
        OVERLAY.format(app="cart"): overlay("cart", "5", "../../../common"), "README.md": b"of today\n",
    }, "Raise the limits")  # fmt: skip
    live("deploy")
    planned = live.rollback("--app", "shop", "--scope", "target", "--dry-run")
    assert (planned["outcome"], len(planned["edits"])) == ("planned", 5)

    done = live.rollback("--app", "shop", "--scope", "target")
    assert done["outcome"] == "pushed"
    assert any(note.startswith("live/cart changes too") for note in done["notes"])
    assert any("Raise the limits" in note and "takes back" in note for note in done["notes"])
    assert any(".ci-gitops.yaml" in note for note in done["notes"])
    assert any(f"{key} has changed since and stays" in note for note in done["notes"])
    assert live.read(key) == "the key of today\n"
    assert live.read(OVERLAY.format(app="shop")) == overlay("shop", "1", "../../../common", "extra.yaml").decode()
    assert "level: low" in live.read(shared)
    assert "level: some" in live.read(gone)
    there = run_git("--git-dir", repositories.bare("config"), "ls-tree", "-r", "--name-only", "main").split()
    assert not {new, script} & {*there}
    assert live.read("README.md") == "of today\n"
    assert "# rules of today" in live.read(".ci-gitops.yaml")
    assert 'newTag: "5"' in live.read(OVERLAY.format(app="cart"))
    assert f"image: {WEB}:2" in live.read(HOLDS)
    message = repositories.messages("config")[0]
    assert f"Ci-Gitops-Files: live/shop {good} live/cart" in message
    assert f"Ci-Gitops-Image: live/shop {WEB} {WEB}:2 -> {WEB}:1" in message
    again = live.rollback("--app", "shop", "--scope", "target")
    assert again["outcome"] == "unchanged"


def test_where_somebody_else_deploys_a_revision_says_where_to_go(cli: Cli, repositories: BareRepositories) -> None:
    live = Live(cli, repositories, "operator: external, write: push")
    redis = "helm: {chart: redis, repository: https://charts.example.com, version: 19.1.0}"
    declared = f'apps: {{shop: {{path: "apps/shop/overlays/{{environment}}", {redis}}}}}\n'
    repositories.commit("config", {".ci-gitops.yaml": f"{declared}{live.read('.ci-gitops.yaml')}".encode()})
    good = live.head()
    live("update", f"{WEB}:2", "--chart", "redis=20.0.0")
    unsure = live.rollback(code=5)["error"]
    assert "no records of what went well" in unsure["message"]
    assert "--to REVISION" in unsure["hint"]
    assert f"Before, shop was at {good[:12]} of 20" in unsure["hint"]
    assert f" with {WEB}:1. To the first of these: `ci-gitops rollback" in unsure["hint"]
    assert unsure["hint"].endswith(f"--environment live --app shop --to {good[:12]}`.")
    assert "has no commit 'feedbeef'" in live.rollback("--to", "feedbeef", code=5)["error"]["message"]
    assert "has no commit 'HEAD~1'" in live.rollback("--to", "HEAD~1", code=5)["error"]["message"]
    done = live.rollback("--to", good[:8])
    assert (done["outcome"], done["rollback"][0]["to"]) == ("pushed", good)
    assert done["rollback"][0]["images"] == [{"name": WEB, "old": f"{WEB}:2", "new": f"{WEB}:1"}]
    assert done["rollback"][0]["charts"] == [{"name": "redis", "new": "19.1.0"}]
    assert 'newTag: "1"' in live.read()
    assert "version: 19.1.0" in live.read(".ci-gitops.yaml")
    assert any("one for all environments" in note for note in done["notes"])
    assert f"image: {WEB}:2" in live.read(HOLDS)


def test_a_merge_request_of_whole_files_follows_its_target(cli: Cli, repositories: BareRepositories) -> None:
    live = Live(cli, repositories, "operator: external, write: merge-request, gates: {approvals: 1}")
    good, base = live.head(), "apps/shop/base/deployment.yaml"
    repositories.commit(
        "config", {base: DEPLOYMENT.format(app="shop").replace("spec:", "spec:\n  replicas: 9", 1).encode()}
    )
    words = ("--to", good, "--scope", "target", "--forge", "local")
    opened = live.rollback(*words)
    assert (opened["outcome"], opened["mergeRequest"]["source"]) == ("opened", "ci-gitops/live/shop")
    assert "replicas" not in live.read(base, "ci-gitops/live/shop")
    # What comes onto the target meanwhile goes back as well, or stays, as on any other head.
    repositories.commit("config", {OVERLAY.format(app="shop"): overlay("shop", "7"), "README.md": b"new\n"}, "Bring 7")
    again = live.rollback(*words)
    assert (again["outcome"], again["mergeRequest"]["iid"]) == ("updated", 1)
    assert any("Bring 7" in note for note in again["notes"])
    # An update on top of it has the gates of updates; a rollback alone its own.
    live("update", f"{WEB}:8", "--forge", "local")
    assert live("merge", "--forge", "local").json["waiting"][0]["gate"] == "approvals"
    live.rollback(*words)
    assert len(live("merge", "--forge", "local").json["merged"]) == 1
    assert live.read(base) == DEPLOYMENT.format(app="shop")
    assert 'newTag: "1"' in live.read()
    assert live.read("README.md") == "new\n"
