"""What a pass decides and does, on a real API server: new, drifted, left, held, refused, recreated."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.rig.deploying import Operator, settings, workload
from tests.rig.git_server import run_git


def test_what_left_git_is_pruned_and_only_where_that_is_on(operator: Operator) -> None:
    operator.declare({"a.yaml": settings("a"), "b.yaml": settings("b")})
    operator.deploy()
    operator.declare({"b.yaml": None})
    kept = operator.shop("--no-prune")
    assert operator.names("configmap") == ["a", "b"]
    assert kept["plan"]["summary"]["delete"] == 0
    gone = operator.shop()
    assert gone["plan"]["summary"]["delete"] == 1
    assert operator.names("configmap") == ["a"]


def test_a_mass_deletion_refuses_the_whole_pass(operator: Operator) -> None:
    operator.declare({f"{name}.yaml": settings(name) for name in "abcde"})
    operator.deploy()
    operator.declare({f"{name}.yaml": None for name in "bcd"} | {"a.yaml": settings("a", "wild")})
    refused = operator.shop(code=5)
    assert "3 of its 5 objects would be deleted" in refused["message"]
    assert operator.live("configmap", "a")["data"] == {"mode": "calm"}, "nothing at all was written"
    operator.deploy("--prune-limit", "60%")
    assert operator.names("configmap") == ["a", "e"]


def test_a_namespace_stays_unless_it_is_named(operator: Operator) -> None:
    extra = f"{operator.namespace}-extra"
    try:
        operator.declare({"ns.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {extra}}}\n",
                          "a.yaml": settings("a")})  # fmt: skip
        operator.deploy()
        operator.declare({"ns.yaml": None})
        done = operator.shop()
        assert done["plan"]["summary"]["skipped"] == 1
        assert operator.cluster.kubectl("get", "namespace", extra, "-o", "name")
        operator("deploy", "--prune-kind", "Namespace", "--timeout", "5s")  # how long it takes is the cluster's matter
        found = operator.cluster.kubectl("get", "namespace", extra, "--ignore-not-found", "-o", "json")
        assert not found or "deletionTimestamp" in json.loads(found)["metadata"]
    finally:
        operator.cluster.drop_namespace(extra)


def test_drift_is_told_or_healed(operator: Operator) -> None:
    operator.declare({"a.yaml": settings("a")})
    operator.deploy()
    operator.kubectl("patch", "configmap", "a", "-p", '{"data": {"mode": "wild"}}')
    told = operator.shop()
    assert told["outcome"] == "drifted"
    assert "kubectl-patch" in json.dumps(told["plan"])
    assert operator.live("configmap", "a")["data"] == {"mode": "wild"}
    assert operator("deploy", "--exit-code").code == 3
    operator.configure("createNamespace: true", destination="prune: true, drift: heal")
    operator.commit()
    assert operator.shop()["outcome"] == "healed"
    assert operator.live("configmap", "a")["data"] == {"mode": "calm"}
    assert [record["cause"] for record in operator.records()] == ["heal", "deploy"]
    assert operator.shop()["outcome"] == "unchanged"


def test_a_commit_for_another_app_is_nothing_new(operator: Operator) -> None:
    operator.declare({"a.yaml": settings("a"), "blog/b.yaml": settings("b")})
    operator.deploy()
    operator.declare({"blog/b.yaml": settings("b", "wild")})
    done = operator.deploy()
    assert {each["target"]["app"]: each["outcome"] for each in done["targets"]} == {
        "blog": "succeeded", "shop": "unchanged"
    }  # fmt: skip
    assert len([record for record in operator.records() if record["target"]["app"] == "shop"]) == 1


def test_another_managers_field_is_a_conflict_until_it_is_taken(operator: Operator) -> None:
    operator.declare({"a.yaml": settings("a")})
    operator.deploy()
    operator.kubectl("patch", "configmap", "a", "--field-manager=robot", "-p", '{"data": {"colour": "red"}}')
    operator.declare({"a.yaml": settings("a").replace("{mode: calm}", "{mode: calm, colour: blue}")})
    refused = operator.shop(code=1)
    assert "robot" in refused["message"]
    assert "--take-over" in operator("deploy").json["error"]["hint"]
    operator.deploy("--take-over")
    assert operator.live("configmap", "a")["data"] == {"mode": "calm", "colour": "blue"}


def test_what_people_made_with_kubectl_is_adopted(operator: Operator, tmp_path: Path) -> None:
    operator.cluster.make_namespace(operator.namespace)
    (tmp_path / "a.yaml").write_text(settings("a").replace("{mode: calm}", "{mode: old, gone: soon}"))
    operator.kubectl("apply", "-f", str(tmp_path / "a.yaml"))
    operator.declare({"a.yaml": settings("a")})
    operator.deploy()
    live = operator.live("configmap", "a")
    assert live["data"] == {"mode": "calm"}
    assert "kubectl.kubernetes.io/last-applied-configuration" not in live["metadata"]["annotations"]
    assert operator.shop()["outcome"] == "unchanged"


def test_an_immutable_field_wants_the_kind_named(operator: Operator) -> None:
    frozen = settings("a").replace("\ndata:", "\nimmutable: true\ndata:")
    operator.declare({"a.yaml": frozen})
    operator.deploy()
    operator.declare({"a.yaml": frozen.replace("calm", "wild")})
    refused = operator("deploy")
    assert refused.code == 1
    assert "--recreate ConfigMap" in refused.json["error"]["hint"]
    before = operator.live("configmap", "a")["metadata"]["uid"]
    operator.deploy("--recreate", "ConfigMap")
    assert operator.live("configmap", "a")["metadata"]["uid"] != before


def test_a_failing_object_keeps_the_others_of_its_target_from_being_written(operator: Operator) -> None:
    operator.declare(
        {"a.yaml": settings("a"), "b.yaml": "apiVersion: acme.example/v1\nkind: Flange\nmetadata: {name: b}\n"}
    )
    ran = operator("deploy")
    assert ran.code == 1
    assert "knows no kind Flange" in ran.json["error"]["message"]
    assert operator("status").json["items"][0]["sync"] == "unknown"
    assert not operator.cluster.kubectl("get", "namespace", operator.namespace, "--ignore-not-found")


def test_apps_go_in_the_order_of_after(operator: Operator) -> None:
    operator.configure("createNamespace: true",
                       apps="base: {path: 'environments/{environment}/base'}, "
                       "shop: {path: 'environments/{environment}/shop', after: [base]}")  # fmt: skip
    operator.declare({"base/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: BAD}\n",
                      "shop/b.yaml": settings("b")})  # fmt: skip
    done = operator.deploy(code=1)
    assert [each["outcome"] for each in done["targets"]] == ["failed", "blocked"]
    assert "It comes after base" in done["targets"][1]["message"]
    operator.declare({"base/a.yaml": settings("a")})
    done = operator.deploy()
    first, second = (each["record"]["started"] for each in done["targets"])
    assert first < second


def test_an_app_that_left_git_is_told_or_pruned(operator: Operator) -> None:
    operator.declare({"a.yaml": settings("a"), "blog/b.yaml": settings("b")})
    operator.deploy()
    operator.declare({"blog/b.yaml": None})
    told = operator.deploy("--no-prune")
    assert "left Git" in next(each["message"] for each in told["targets"] if each["target"]["app"] == "blog")
    assert operator.names("configmap") == ["a", "b"]
    operator.deploy()
    assert operator.names("configmap") == ["a"]
    assert {record["target"]["app"] for record in operator.records()} == {"shop"}


def test_delete_removes_what_an_app_holds_and_leaves_nothing_of_ours(operator: Operator) -> None:
    operator.declare({"a.yaml": settings("a"), "b.yaml": settings("b")})
    operator.deploy()
    asked = operator("delete", "--app", "shop")
    assert asked.code == 5
    assert "2 objects would be deleted" in asked.json["error"]["message"]
    ran = operator("delete", "--app", "shop", "--yes")
    assert ran.code == 0, ran.err
    assert operator.names("configmap") == []
    assert operator.kubectl("get", "configmap,lease", "-o", "name").split() == ["configmap/kube-root-ca.crt"]
    again = operator("delete", "--app", "shop", "--yes")
    assert again.json["targets"][0]["outcome"] == "unchanged"


def test_a_hold_stops_something_new_and_healing(operator: Operator) -> None:
    operator.declare({"a.yaml": settings("a")})
    operator.deploy()
    holds = operator.folder / ".ci-gitops/holds/live.yaml"
    holds.parent.mkdir(parents=True)
    holds.write_text("- {app: shop, reason: the till is open, by: alice}\n")
    operator.commit()
    assert operator.shop()["outcome"] == "held"
    operator.declare({"a.yaml": settings("a", "wild")})
    held = operator.shop(code=5)
    assert held["outcome"] == "held"
    assert "the till is open" in held["message"]
    assert operator.live("configmap", "a")["data"] == {"mode": "calm"}


def test_manual_sync_reports_until_a_person_names_the_revision(operator: Operator) -> None:
    operator.configure("createNamespace: true, sync: manual")
    revision = operator.declare({"a.yaml": settings("a")})
    assert operator.shop()["outcome"] == "manual"
    assert operator.shop("--revision", revision)["outcome"] == "succeeded"
    assert operator.live("configmap", "a")


def test_an_environment_that_is_pinned_to_tags(operator: Operator) -> None:
    operator.configure("createNamespace: true, repository: {tag: 'v*'}")
    operator.declare({"a.yaml": settings("a", "one")})
    run_git("-C", operator.folder, "tag", "v1.9")
    operator.declare({"a.yaml": settings("a", "two")})
    run_git("-C", operator.folder, "tag", "v1.10")
    operator.declare({"a.yaml": settings("a", "three")})
    operator.deploy()
    assert operator.live("configmap", "a")["data"] == {"mode": "two"}


def test_only_what_is_allowed_is_deployed(operator: Operator) -> None:
    operator.configure("createNamespace: true, allow: {kinds: [ConfigMap]}")
    operator.declare({"a.yaml": settings("a"),
                      "s.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n"})  # fmt: skip
    refused = operator("deploy")
    assert refused.code == 5
    assert "Secret" in refused.json["error"]["message"]
    assert "allow" in refused.json["error"]["message"]


def test_a_reviewed_plan_is_deployed_and_another_is_not(operator: Operator, tmp_path: Path) -> None:
    operator.declare({"a.yaml": settings("a")})
    assert operator("diff", "--plan-out", tmp_path / "plan.json").code == 0
    operator.declare({"a.yaml": settings("a", "wild")})
    assert operator("deploy", "--plan", tmp_path / "plan.json").code == 5
    operator.declare({"a.yaml": settings("a")})
    operator.deploy("--plan", tmp_path / "plan.json")
    (tmp_path / "junk.json").write_text("{")
    assert operator("deploy", "--plan", tmp_path / "junk.json").code == 2


def test_a_missing_namespace_names_both_ways(operator: Operator) -> None:
    operator.configure()
    operator.declare({"a.yaml": settings("a")})
    ran = operator("deploy")
    assert ran.code == 1
    assert "createNamespace: true" in ran.json["error"]["hint"]


def test_everything_comes_back_after_all_of_it_was_lost(operator: Operator) -> None:
    operator.declare({"a.yaml": settings("a"), "blog/b.yaml": settings("b")})
    operator.deploy()
    operator.kubectl("delete", "configmap,lease", "--all")
    operator.deploy()
    assert operator.names("configmap") == ["a", "b"]
    assert operator.deploy()["outcome"] == "unchanged"


def test_an_interrupted_run_closes_its_record(pods: Operator) -> None:
    pods.declare({"web.yaml": workload(pods.image, "sleep 1000", container={"readinessProbe": {
        "exec": {"command": ["/bin/busybox", "false"]}}})})  # fmt: skip
    running = pods.start()
    assert running.stderr
    for line in running.stderr:
        if "waits for" in line:
            running.send_signal(signal.SIGTERM)
            break
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 130, out
    (record,) = pods.records()
    assert record["outcome"] == "failed"
    assert record["failure"]["kind"] == "trouble"


@pytest.mark.parametrize("words", [("--prune-limit", "x"), ("--prune-limit", "101%"), ("--parallel", "0")])
def test_options_that_cannot_be(operator: Operator, words: tuple[str, ...]) -> None:
    assert operator("deploy", *words).code == 2
