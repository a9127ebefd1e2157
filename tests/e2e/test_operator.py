"""The operator on a cluster that runs pods: rollouts, a bad image and the way back, hooks that fail, blue and green."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from tests.rig.deploying import Operator, settings, workload
from tests.rig.git_server import run_git

HOOK = "{{argocd.argoproj.io/hook: {phase}}}"
SERVE = "mkdir /www; echo {text} > /www/index.html; exec /bin/busybox httpd -f -p 8080 -h /www"
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: {app}}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""


def web(image: str, text: str, *, name: str = "web", annotations: str = "{}") -> str:
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    return workload(image, SERVE.format(text=text), name=name, annotations=annotations,
                    container={"readinessProbe": probe})  # fmt: skip


def job(image: str, command: str, phase: str, name: str, **more: Any) -> str:
    return workload(image, command, kind="Job", name=name, annotations=HOOK.format(phase=phase), **more)


def answer(operator: Operator) -> str:
    """What the Service's pods say. The node learns of ready pods a little after the API server: no event tells when."""
    address = operator.live("service", "web")["spec"]["clusterIP"]
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=20) as reply:
                found: str = reply.read().decode().strip()
                return found
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_a_rollout_a_bad_image_and_the_way_back(pods: Operator) -> None:
    """What Git declares answers over HTTP; what never gets ready is explained, taken back and held, in Git too."""
    origin = pods.folder.parent / "origin.git"
    run_git("init", "-q", "--bare", "-b", "main", origin)
    run_git("-C", pods.folder, "remote", "add", "origin", origin)
    pods.declare({"web.yaml": web(pods.image, "one"), "service.yaml": SERVICE.format(app="web")})
    run_git("-C", pods.folder, "push", "-q", "-u", "origin", "main")
    first = pods.shop()
    assert first["outcome"] == "succeeded"
    assert first["record"]["images"] == [pods.image]
    assert answer(pods) == "one"

    pods.declare({"web.yaml": web(pods.image.replace(":1", ":2"), "two")}, "Ship two")
    assert pods.shop()["outcome"] == "succeeded"
    assert answer(pods) == "two"

    bad = pods.image.replace(":1", ":absent")
    revision = pods.declare({"web.yaml": web(bad, "three"), "extra.yaml": settings("extra")}, "Ship three")
    run_git("-C", pods.folder, "push", "-q", "origin", "main")
    failed = pods("deploy", "--rollback-on-failure")
    assert failed.code == 4
    said = json.dumps(failed.json)
    assert "ImagePullBackOff" in said or "ErrImagePull" in said
    assert "Rolled back to" in said
    assert answer(pods) == "two"
    assert pods.live("configmap", "extra") is None, "what the failed revision brought is gone"
    causes = [(record["cause"], record["outcome"]) for record in pods.records()]
    assert causes[:2] == [("rollback", "succeeded"), ("deploy", "failed")]
    subjects = [record["origin"]["subject"] for record in pods.records()]
    assert subjects[:2] == ["Ship two", "Ship three"], "a record names the commit that it brought"

    run_git("-C", pods.folder, "pull", "-q", "--ff-only", "origin", "main")
    declared = (pods.folder / "environments/live/shop/web.yaml").read_text()
    assert bad not in declared
    assert bad in (pods.folder / ".ci-gitops/holds/live.yaml").read_text()
    run_git("-C", pods.folder, "checkout", "-q", revision)
    assert pods("deploy").code == 5, "the failed revision is not tried in a circle"


def test_a_hook_that_fails_stops_what_comes_after(pods: Operator) -> None:
    later = '{argocd.argoproj.io/sync-wave: "1"}'
    pods.declare({
        "hook.yaml": job(pods.image, "echo cannot migrate; exit 3", "Sync", "migrate"),
        "cry.yaml": job(pods.image, "echo help", "SyncFail", "cry"),
        "now.yaml": settings("now"),
        "later.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: later, annotations: {later}}}\n",
    })  # fmt: skip
    failed = pods("deploy")
    assert failed.code == 4
    assert "cannot migrate" in json.dumps(failed.json), "the end of the log is shown"
    assert pods.names("configmap") == ["now"]
    assert pods.live("job", "cry")["status"]["succeeded"] == 1
    (record,) = pods.records()
    assert record["failure"]["kind"] == "hook"
    assert {(hook["name"], hook["outcome"]) for hook in record["hooks"]} == {
        ("migrate", "failed"),
        ("cry", "succeeded"),
    }

    assert pods("deploy").code == 5, "it waits for --retry"
    uid = pods.live("job", "migrate")["metadata"]["uid"]
    assert pods("deploy", "--retry").code == 4
    assert pods.live("job", "migrate")["metadata"]["uid"] != uid

    pods.declare({"hook.yaml": job(pods.image, "echo migrated", "Sync", "migrate")})
    assert pods.shop()["outcome"] == "succeeded"
    assert pods.names("configmap") == ["later", "now"]
    uid = pods.live("job", "migrate")["metadata"]["uid"]
    assert pods.shop()["outcome"] == "unchanged"
    assert pods.live("job", "migrate")["metadata"]["uid"] == uid


def test_a_blue_green_switch_by_waves_and_hooks(pods: Operator) -> None:
    """The green version is up and tested before the Service turns to it; then blue is pruned."""
    smoke = "/bin/busybox wget -qO- http://web-green:80/ | /bin/busybox grep green"
    green_service = SERVICE.format(app="green").replace("name: web", "name: web-green")
    switched = SERVICE.format(app="green").replace(
        "{name: web}", '{name: web, annotations: {ci-gitops/sync-wave: "2"}}'
    )
    pods.declare({"blue.yaml": web(pods.image, "blue", name="blue"), "service.yaml": SERVICE.format(app="blue")})
    pods.deploy()
    assert answer(pods) == "blue"
    test = workload(pods.image, smoke, kind="Job", name="smoke",
                    annotations='{ci-gitops/hook: Sync, ci-gitops/sync-wave: "1"}')  # fmt: skip
    pods.declare({
        "green.yaml": web(pods.image, "green", name="green"), "green-service.yaml": green_service,
        "smoke.yaml": test, "service.yaml": switched, "blue.yaml": None,
    })  # fmt: skip
    done = pods.shop()
    assert done["outcome"] == "succeeded", done
    assert answer(pods) == "green"
    assert pods.names("deployment") == ["green"]


def test_generated_hooks_run_once_for_a_rendered_set(pods: Operator) -> None:
    hook = job(pods.image, "echo once", "PreSync", "x").replace("{name: x,", "{generateName: prepare-,")
    pods.declare({"hook.yaml": hook, "a.yaml": settings("a")})
    pods.deploy()
    first = pods.names("job")
    assert len(first) == 1
    uid = pods.live("job", first[0])["metadata"]["uid"]
    assert pods.deploy()["outcome"] == "unchanged"
    assert pods.live("job", first[0])["metadata"]["uid"] == uid
    assert pods.deploy("--rerun-hooks")["outcome"] == "succeeded"
    assert pods.live("job", first[0])["metadata"]["uid"] != uid
    pods.declare({"a.yaml": settings("a", "wild")})
    pods.deploy()
    second = [name for name in pods.names("job") if name not in first]
    assert len(second) == 1
    pods.declare({"a.yaml": settings("a")})
    pods.deploy()
    assert pods.records()[0]["hooks"][0]["name"] == first[0]
    assert pods.records()[0]["hooks"][0]["uid"] != pods.records()[3]["hooks"][0]["uid"], "a set that comes back is new"
