"""A deploy killed at any moment: the next one converges, with no orphan and no hook that succeeded run twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time

import pytest

from tests.conftest import SEED
from tests.rig.deploying import Operator, settings, workload

KILLS = 2
MANY = 60
LONGEST = 9.0  # seconds; a whole deploy takes about as long


def hook(operator: Operator, name: str, phase: str) -> str:
    text = workload(operator.image, "exit 0", kind="Job", name=name, annotations=f"{{ci-gitops/hook: {phase}}}")
    return text.replace(f"{{name: {name},", f"{{generateName: {name}-,")


def declare(operator: Operator, number: int) -> set[str]:
    """A revision with two hooks, an object that changes, one that comes and one that goes."""
    files = {"before.yaml": hook(operator, "before", "PreSync"), "after.yaml": hook(operator, "after", "PostSync")}
    files |= {name: settings(name.removesuffix(".yaml"), f"v{number}") for name in ("a.yaml", "b.yaml")}
    files[f"n{number}.yaml"] = settings(f"n{number}")
    operator.declare({**files, f"n{number - 1}.yaml": None}, f"Revision {number}")
    return {"a", "b", f"n{number}"}


def created(operator: Operator) -> dict[str, set[str]]:
    """name of a hook's Job -> the UIDs that it ever had."""
    events = json.loads(operator.kubectl("get", "events", "--field-selector", "involvedObject.kind=Job", "-o", "json"))
    found: dict[str, set[str]] = {}
    for event in events["items"]:
        found.setdefault(event["involvedObject"]["name"], set()).add(event["involvedObject"]["uid"])
    return found


def kill_and_go_on(operator: Operator, number: int, moment: float) -> None:
    names = declare(operator, number)
    running = operator.start()
    try:
        running.wait(moment)
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGKILL)
    running.communicate(timeout=60)
    done = operator.shop()
    assert done["outcome"] in ("succeeded", "unchanged"), (number, moment, done)
    assert set(operator.names("configmap")) == names, (number, moment)
    assert {operator.live("configmap", name)["data"]["mode"] for name in ("a", "b")} == {f"v{number}"}
    assert [record["outcome"] for record in operator.records()].count("running") == 0
    again = {name: uids for name, uids in created(operator).items() if len(uids) > 1}
    assert not again, (number, moment)
    assert operator.shop()["outcome"] == "unchanged"


def test_the_next_deploy_goes_on(pods: Operator) -> None:
    chance = random.Random(SEED)
    declare(pods, 0)
    pods.deploy()
    for number in range(1, KILLS + 1):
        kill_and_go_on(pods, number, chance.uniform(0.5, LONGEST))


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_the_next_deploy_goes_on_after_many_kills(pods: Operator) -> None:
    chance = random.Random(SEED)
    declare(pods, 0)
    pods.deploy()
    for number in range(1, MANY + 1):
        kill_and_go_on(pods, number, chance.uniform(0.2, LONGEST))


def test_two_runs_at_once_deploy_once(pods: Operator) -> None:
    """The second waits for the first, finds everything done, and writes no record."""
    declare(pods, 0)
    first, second = pods.start(), pods.start()
    ends = [running.communicate(timeout=120) for running in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), ends
    assert len(pods.records()) == 1
    assert all(len(uids) == 1 for uids in created(pods).values())


def test_a_newer_revision_does_not_wait_for_an_older_one_to_get_healthy(pods: Operator) -> None:
    never = {"readinessProbe": {"exec": {"command": ["/bin/busybox", "false"]}}}
    pods.declare({"web.yaml": workload(pods.image, "sleep 1000", container=never)}, "Never ready")
    older = pods.start("--timeout", "5m")
    assert older.stderr
    for line in older.stderr:
        if "waits for" in line:
            break
    pods.declare({"web.yaml": workload(pods.image, "sleep 1000")}, "Ready at once")
    began = time.monotonic()
    assert pods.shop()["outcome"] == "succeeded"
    assert time.monotonic() - began < 60
    out, err = older.communicate(timeout=60)
    assert older.returncode == 0, err
    assert json.loads(out)["targets"][0]["outcome"] == "superseded"
    assert [record["outcome"] for record in pods.records()] == ["succeeded", "superseded"]
