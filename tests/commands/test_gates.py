"""`gates`, and the gates of `merge`, on the local forge: what each says, and what failing facts do."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from ci_gitops.adapters.forges.base import CommitStatus
from tests.commands.test_merge import OVERLAY, Config, path
from tests.rig.cli import Cli
from tests.rig.git_server import GitServer, run_git

MANIFEST = b"""\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
"""


def settings(gates: str, staging: str = "operator: external") -> bytes:
    return f"""\
apps:
  shop: {{path: "apps/shop/overlays/{{environment}}"}}
  cart: {{path: "apps/cart/overlays/{{environment}}"}}
environments:
  staging: {{{staging}}}
  production: {{write: merge-request, gates: {{{gates}}}}}
""".encode()


@pytest.fixture
def config(cli: Cli, git_server: GitServer) -> Iterator[Config]:
    with ExitStack() as stack:
        yield Config(cli, git_server, stack)


def ask(config: Config, *arguments: object, environment: str | None = "production", **env: str) -> dict[str, str]:
    """The state and reason of each gate of the first merge request, else of those that need none."""
    chosen = ("--environment", environment) if environment else ()
    ran = config.cli("-o", "json", "gates", "--repo", config.folder, *chosen, *arguments, env=env)
    assert ran.code == 0, ran.err
    assert ran.json["kind"] == "GateReport"
    items = ran.json["items"]
    return {gate["gate"]: f"{gate['state']}: {gate['reason']}" for gate in (items[0] if items else ran.json)["gates"]}


def configure(config: Config, gates: str, **more: str) -> None:
    config.server.commit("config", {".ci-gitops.yaml": settings(gates, **more)}, "Policy")


@contextmanager
def application(status: int, location: str = "") -> Iterator[str]:
    """An address that answers like this; a redirect leads to `location`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(b"told\n")

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/ready"
        finally:
            server.shutdown()


def test_each_gate_with_its_state_and_why(config: Config) -> None:
    with application(200) as address:
        configure(
            config, f"healthy: true, soak: 30m, approvals: 1, statuses: [scan], freeze: true, http: ['{address}'],"
            "windows: [{allow: '00:00-24:00'}, {deny: 'Mon-Sun 00:00-24:00', timezone: Asia/Kathmandu}]",
        )  # fmt: skip
        config.server.commit("config", {path("shop", "staging"): OVERLAY.replace(b"'1'", b"'2'")}, "staging")
        config.opened()
        told = ask(config)
    assert list(told) == ["ci", "approvals", "healthy", "soak", "statuses", "windows", "freeze", "http"]
    assert told["ci"] == "passed: the project has no CI"
    assert told["approvals"] == "waiting: 0 of 1 approval"
    assert told["healthy"].startswith("passed: exactly this runs there; shop in staging: Git alone says what runs")
    assert told["soak"].startswith("waiting: shop is healthy in staging since 20")
    assert told["statuses"] == "waiting: scan is not there yet"
    assert told["windows"] == (
        "waiting: closed by Mon-Sun 00:00-24:00 Asia/Kathmandu; no time is in sight at which it opens"
    )
    assert told["freeze"].startswith("passed: the local forge keeps no deploy freezes")
    assert told["http"] == f"passed: {address} answered 200"


def test_what_staging_does_not_run_is_not_merged(config: Config) -> None:
    configure(config, "healthy: true")
    config.opened()
    assert ask(config)["healthy"] == "waiting: staging runs web:1 in shop, not web:2"
    assert [one["gate"] for one in config.merge("--environment", "production").json["waiting"]] == ["healthy"]
    config.server.commit("config", {path("shop", "staging"): OVERLAY.replace(b"'1'", b"'2'")}, "staging")
    ran = config.merge("--environment", "production")
    assert [one["mr"] for one in ran.json["merged"]] == [1], ran.err
    assert config.tag() == "2"


def test_soak_is_counted_from_the_deployment_record(config: Config, tmp_path: Path) -> None:
    destination = f"destination: {{to: 'simulated:{tmp_path}/staging.json', namespace: default}}"
    configure(config, "healthy: true, soak: 30m", staging=destination)
    overlay = b"resources: [web.yaml]\nimages:\n- name: web\n  newTag: '2'\n"
    folder = path("shop", "staging").rpartition("/")[0]
    config.server.commit("config", {path("shop", "staging"): overlay, f"{folder}/web.yaml": MANIFEST}, "staging")
    config.opened()
    told = ask(config)
    assert told["healthy"].startswith("waiting: shop in staging: Nothing of it was deployed to staging yet")
    assert told["soak"].startswith("waiting: has not begun: ")
    ran = config.cli("deploy", "--repo", config.folder, "--environment", "staging", "--app", "shop")
    assert ran.code == 0, ran.err
    ran = config.cli("-o", "json", "gates", "--repo", config.folder, "--environment", "production")
    healthy, soak = [gate for gate in ran.json["items"][0]["gates"] if gate["gate"] in ("healthy", "soak")]
    assert healthy["state"] == "passed", healthy
    since = datetime.fromisoformat(soak["reason"].split("since ")[1].split(";")[0])
    assert (datetime.fromisoformat(soak["until"]) - since).total_seconds() == 1800
    configure(config, "soak: 0s, healthy: true", staging=destination)
    assert [one["mr"] for one in config.merge("--environment", "production").json["merged"]] == [1]


def test_without_a_merge_request_what_would_be_promoted_now(config: Config) -> None:
    configure(config, "soak: 300d, approvals: 1, windows: [{deny: '00:00-24:00'}]")
    hold = b"- {app: cart, reason: loses orders, by: alice, at: '2026-11-21T16:00:00Z'}\n"
    hold += b"- {image: 'web:3', reason: slow}\n"
    config.server.commit("config", {".ci-gitops/holds/production.yaml": hold})
    told = ask(config)
    assert list(told) == ["approvals", "hold", "soak", "windows"]
    assert told["approvals"] == "waiting: 1 approval will be wanted"
    assert told["hold"] == (
        "waiting: cart is held by alice since 2026-11-21T16:00:00Z: loses orders; "
        "`ci-gitops release --environment production --app cart --reason TEXT` lifts it; "
        "web:3 is held: slow (staging runs another one); "
        "`ci-gitops release --environment production --image web:3 --reason TEXT` lifts it"
    )
    assert "300d are over at" in told["soak"]
    config.server.commit("config", {".ci-gitops/holds/production.yaml": b""})
    configure(config, "freeze: false")
    ran = config.cli("gates", "--repo", config.folder, "--environment", "production")
    assert ran.out.startswith("No merge request of ours is open for production, and it has no gates")


def test_one_status_is_kept_on_the_head(config: Config) -> None:
    request = config.opened()

    def posted() -> list[tuple[str, str, str]]:
        statuses = config.forge.checks(request.head_sha).statuses
        return [(one.name, one.state, one.description) for one in statuses]

    ask(config)
    assert posted() == []
    for _ in range(2):
        ask(config, "--post")
        assert posted() == [("ci-gitops/gates", "pending", "approvals: 0 of 1 approval")]
    config.forge.approve(1, request.head_sha)
    ask(config, "--post")
    assert posted() == [("ci-gitops/gates", "success", "passed: ci, approvals")]


def test_text_for_people(config: Config) -> None:
    config.opened()
    config.opened("cart")
    config.forge.approve(2, config.forge.get(2).head_sha)
    lines = config.cli("gates", "--repo", config.folder, "--environment", "production").out.splitlines()
    assert lines[0] == "Waiting !1 Update shop in production: waits for approvals"
    assert lines[1].split() == ["GATE", "STATE", "WHY"]
    assert lines[3].split(maxsplit=2) == ["approvals", "waiting", "0 of 1 approval"]
    assert "Ready !2 Update cart in production: `ci-gitops merge --mr 2` merges it" in lines
    config.merge("--mr", 2)
    assert config.cli("gates", "--repo", config.folder, "--mr", 2).out == (
        "Nothing to judge: !2 Update cart in production is merged\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "there are: staging, production"),
        (["--environment", "prodution"], "'production'"),
        (["--environment", "production", "--mr", "0"], "--mr"),
    ],
)
def test_wrong_calls_say_what_is_right(config: Config, arguments: list[str], words: str) -> None:
    ran = config.cli("-o", "json", "gates", "--repo", config.folder, *arguments)
    assert ran.code == 2
    error = ran.json["error"]
    assert words in f"{error['message']} {error['hint']}"


def test_what_is_held_is_merged_by_nobody_until_it_is_released(config: Config) -> None:
    configure(config, "approvals: 0")
    config.opened()
    config.opened("cart", tag="3")
    hold = b"- {image: 'web:2', reason: it loses orders, by: bob}\n"
    config.server.commit("config", {".ci-gitops/holds/production.yaml": hold}, "Hold")
    told = ask(config)
    assert told["hold"] == (
        "waiting: web:2 in shop is held by bob: it loses orders; `ci-gitops release --environment production "
        "--image web:2 --reason TEXT` lifts it"
    )
    ran = config.merge("--environment", "production")
    assert [one["mr"] for one in ran.json["merged"]] == [2], ran.err
    assert [(one["mr"], one["gate"]) for one in ran.json["waiting"]] == [(1, "hold")]
    ran = config.merge("--mr", 1, "--override", "hold", "--reason", "now")
    assert ran.code == 2
    assert "ci-gitops release" in ran.err
    assert config.tag() == "1"
    config.server.commit("config", {".ci-gitops/holds/production.yaml": b"[]\n"}, "Release")
    assert [one["mr"] for one in config.merge("--mr", 1).json["merged"]] == [1]


def test_a_hold_on_the_branch_of_the_merge_request_itself_counts_for_nothing(config: Config) -> None:
    """The rules are those of the target branch: what a branch takes out of the holds is still held."""
    configure(config, "approvals: 0")
    config.server.commit("config", {".ci-gitops/holds/production.yaml": b"- {app: shop, reason: no}\n"}, "Hold")
    request = config.opened()
    config.server.commit("config", {".ci-gitops/holds/production.yaml": b"[]\n"}, "Sneak", request.source)
    assert [one["gate"] for one in config.merge("--mr", 1).json["waiting"]] == ["hold"]


def test_facts_that_cannot_be_had_make_their_gate_wait_and_no_other(config: Config, tmp_path: Path) -> None:
    configure(
        config, "healthy: true, approvals: 1, http: ['http://127.0.0.1:1/x'], statuses: [scan]",
        staging="destination: {context: nowhere}",
    )  # fmt: skip
    request = config.opened()
    config.forge.approve(1, request.head_sha)
    config.forge.set_status(request.head_sha, CommitStatus("scan", "success"))
    told = ask(config, KUBECONFIG=str(tmp_path / "none"))
    assert told["approvals"].startswith("passed: 1 of 1")
    assert told["statuses"] == "passed: passed: scan"
    assert told["healthy"].startswith("waiting: cannot be told: What runs in staging cannot be read")
    assert told["http"].startswith("waiting: http://127.0.0.1:1/x does not answer")
    ran = config.merge("--environment", "production", env={"KUBECONFIG": str(tmp_path / "none")})
    assert ran.code == 0, ran.err
    assert {one["gate"] for one in ran.json["waiting"]} == {"healthy", "http"}


@pytest.mark.parametrize(
    ("status", "location", "says"),
    [
        (204, "", "passed: {} answered 204"),
        (503, "", "waiting: {} answered 503, not 2xx: told"),
        (302, "http://localhost:1/else", "waiting: {} sends us to http://localhost:1/else, which is another host"),
        (302, "http://[", "waiting: {} names an address that is none"),
    ],
)
def test_what_an_address_answers(config: Config, status: int, location: str, says: str) -> None:
    with application(status, location) as address:
        configure(config, f"http: ['{address}']")
        assert ask(config)["http"].startswith(says.format(address))


def test_a_freeze_that_the_job_knows_of(config: Config) -> None:
    configure(config, "freeze: true")
    frozen = ask(config, GITLAB_CI="true", CI_DEPLOY_FREEZE="true", CI_GITOPS_FORGE="local")
    assert frozen["freeze"].startswith("waiting: this pipeline began in a deploy freeze")
    assert ask(config)["freeze"].startswith("passed")


def test_approvals_of_a_group_alone_count(config: Config) -> None:
    configure(config, "approvals: {count: 1, groups: [carol]}")
    request = config.opened()
    config.forge.approve(1, request.head_sha)  # as robot
    assert (
        ask(config)["approvals"] == "waiting: 0 of 1 approval of carol; that of robot does not count: in none of carol"
    )
    config.merge("--mr", 1, "--approve", "--dry-run", env={"GITLAB_USERNAME": "carol"})
    ran = config.merge("--mr", 1, "--approve", env={"GITLAB_USERNAME": "carol"})
    assert [one["mr"] for one in ran.json["merged"]] == [1], ran.err


def test_each_override_is_recorded(config: Config) -> None:
    configure(
        config,
        "healthy: true, soak: 1d, windows: [{deny: '00:00-24:00'}], statuses: [scan], http: ['http://127.0.0.1:1/']",
    )
    config.opened()
    gates = ["healthy", "soak", "windows", "statuses", "http"]
    ran = config.merge("--mr", 1, *(word for gate in gates for word in ("--override", gate)), "--reason", "outage")
    assert ran.code == 0, ran.err
    assert sorted(ran.json["merged"][0]["overridden"]) == sorted(gates)
    message = config.server.messages("config")[0]
    (comment,) = config.forge.comments(1)
    for gate in gates:
        assert f"Ci-Gitops-Override: {gate} overridden: outage" in message
        assert f"`{gate}`" in comment.text


def test_a_branch_that_leads_nowhere_is_told(config: Config) -> None:
    request = config.opened()
    run_git("--git-dir", config.folder, "branch", "-D", request.source)
    assert ask(config) == {"branch": f"waiting: its branch {request.source} does not exist any more"}


def test_update_with_merge_now_asks_all_gates(config: Config) -> None:
    configure(config, "healthy: true")
    image = ["web:2", "--repo", config.folder, "--environment", "production", "--app", "shop"]
    ran = config.cli("-o", "json", "update", *image, "--merge", "now")
    assert ran.code == 5
    assert "healthy: staging runs web:1 in shop, not web:2" in ran.json["error"]["message"]
    config.server.commit("config", {path("shop", "staging"): OVERLAY.replace(b"'1'", b"'2'")}, "staging")
    ran = config.cli("-o", "json", "update", *image, "--merge", "now")
    assert ran.code == 0, ran.err
    assert config.tag() == "2"
