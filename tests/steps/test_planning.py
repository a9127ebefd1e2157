"""Plans of targets on a real API server: whose fields, what is only planned, and what could not be read."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.core.ignoring import Rule
from ci_gitops.core.inventory import Key, Member
from ci_gitops.steps.observing import observe
from ci_gitops.steps.planning import Terms, plan_target
from tests.rig.cluster import Cluster
from tests.steps.planner import Planner, changes, fields, operations
from tests.steps.test_drift_rules import AUTOSCALER, CONFIG, DEPLOYMENT, KIND, SERVICE, is_quiet

SECRET = "{apiVersion: v1, kind: Secret, metadata: {name: web}, stringData: {password: hunter22}}\n"


def patched(cluster: Cluster, planner: Planner, data: dict[str, str], manager: str = "somebody") -> None:
    cluster.kubectl("patch", "configmap", "web", "-n", planner.namespace, "--type=merge", "-p",
                    json.dumps({"data": data}), "--field-manager", manager)  # fmt: skip


# Whose fields


def test_a_field_that_was_never_ours_is_a_conflict_until_it_is_taken(planner: Planner, cluster: Cluster) -> None:
    planner.deploy(CONFIG)
    patched(cluster, planner, {"theirs": "1"})
    wanted = CONFIG.replace("mode: calm", "mode: calm, theirs: '2'")
    found = planner.plan(wanted)
    assert operations(found) == [("unknown", "ConfigMap")]
    assert found.plan.changes[0].reason == "conflict: somebody holds data.theirs"
    assert fields(found) == {"data.theirs": ("1", "2")}
    assert [(error.exit_code, "--take-over" in str(error.hint)) for error in found.troubles] == [(1, True)]
    done = planner.deploy(wanted, take_over=True)
    assert done.plan.changes[0].reason == "takes over data.theirs from somebody"
    assert is_quiet(planner, wanted)


def test_the_same_value_is_no_conflict(planner: Planner, cluster: Cluster) -> None:
    planner.deploy(CONFIG)
    patched(cluster, planner, {"theirs": "1"})
    done = planner.deploy(CONFIG.replace("mode: calm", "mode: calm, theirs: '1'"))
    assert not changes(done)[0].fields
    assert "takes ownership of 1 field of somebody" in str(done.plan.changes[0].reason)


def test_what_the_last_record_applied_is_taken_back_by_a_new_revision_too(planner: Planner, cluster: Cluster) -> None:
    planner.deploy(CONFIG)
    patched(cluster, planner, {"mode": "wild"})
    found = planner.plan(CONFIG.replace("mode: calm", "mode: mild"))
    assert found.new
    assert found.plan.changes[0].reason == "takes back data.mode from somebody"
    unknown = planner.forgets().plan(CONFIG.replace("mode: calm", "mode: mild"))
    assert operations(unknown) == [("unknown", "ConfigMap")]


def test_an_object_of_nobody_is_adopted_and_that_is_said(planner: Planner, cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.replace("calm", "old"))
    cluster.kubectl("apply", "-n", planner.namespace, "-f", str(file))
    found = planner.deploy(CONFIG)
    assert "adopts it: nobody owns it" in str(found.plan.changes[0].reason)
    assert found.work[0].adopted
    assert is_quiet(planner, CONFIG)


@pytest.mark.parametrize("server_side", [False, True], ids=["client side", "server side"])
def test_what_is_left_to_others_stays_when_an_object_is_adopted(
    planner: Planner, cluster: Cluster, tmp_path: Path, server_side: bool
) -> None:
    """What kubectl held becomes ours; left out of what is sent it would be taken away."""
    file = tmp_path / "deployment.yaml"
    file.write_text(DEPLOYMENT.replace("replicas: 0", "replicas: 3\n  paused: true").replace("[]", ""))
    side = ["--server-side"] if server_side else []
    cluster.kubectl("apply", "-n", planner.namespace, "-f", str(file), *side)
    planner.rules = [Rule(kind="Deployment", pointers=("/spec/paused",))]
    text = DEPLOYMENT + "---\n" + AUTOSCALER
    planner.deploy(text)
    live = cluster.get("deployment", "web", planner.namespace)
    assert (live["spec"]["replicas"], live["spec"]["paused"]) == (3, True)
    assert is_quiet(planner, text)


def test_what_kubectl_applied_and_git_does_not_declare_goes_and_is_named(
    planner: Planner, cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.replace("mode: calm", "mode: calm, gone: '1'"))
    cluster.kubectl("apply", "-n", planner.namespace, "-f", str(file))
    found = planner.deploy(CONFIG)
    assert fields(found)["data.gone"] == ("1", None)
    assert cluster.get("configmap", "web", planner.namespace)["data"] == {"mode": "calm"}
    assert is_quiet(planner, CONFIG)


def test_one_kind_in_two_versions(planner: Planner) -> None:
    """Both targets are compared in their own version."""
    old = AUTOSCALER.replace("autoscaling/v2", "autoscaling/v1").partition("  metrics:")[0]
    planner.deploy(old)
    other = planner.prepared(AUTOSCALER.replace("name: web}\nspec", "name: more}\nspec"))
    live = observe(planner.cluster, [other, planner.prepared(old)], [planner.inventory])
    found = plan_target(planner.cluster, planner.prepared(old), live, inventory=planner.inventory, terms=Terms())
    assert found.plan.is_empty


def test_new_and_drifted_are_told_apart(planner: Planner, cluster: Cluster) -> None:
    planner.deploy(CONFIG)
    patched(cluster, planner, {"mode": "wild"})
    cluster.kubectl("create", "configmap", "other", "-n", planner.namespace)
    drifted = planner.plan(CONFIG)
    assert (drifted.new, drifted.drifted) == (False, True)
    assert all(change.drift for change in changes(drifted))
    both = planner.plan(CONFIG + "---\n" + SERVICE)
    assert (both.new, both.drifted) == (True, False)
    cluster.kubectl("delete", "configmap", "web", "-n", planner.namespace)
    gone = planner.plan(CONFIG)
    assert operations(gone) == [("create", "ConfigMap")]
    assert gone.drifted


def test_what_is_skipped_or_being_deleted_is_told(planner: Planner, cluster: Cluster) -> None:
    skip = CONFIG.replace("name: web", "name: kept, annotations: {ci-gitops/hook: Skip}")
    planner.deploy(CONFIG + "---\n" + skip)
    cluster.kubectl("patch", "configmap", "web", "-n", planner.namespace, "--type=merge", "-p",
                    '{"metadata":{"finalizers":["example.com/theirs"]}}')  # fmt: skip
    cluster.kubectl("delete", "configmap", "web", "-n", planner.namespace, "--wait=false")
    found = planner.plan(CONFIG + "---\n" + skip)
    assert operations(found) == [("unchanged", "ConfigMap"), ("skipped", "ConfigMap")]
    assert found.plan.is_empty
    assert found.plan.notes == (
        f"ConfigMap {planner.namespace}/web is being deleted: it is made again only when it is gone.",
    )
    cluster.kubectl("patch", "configmap", "web", "-n", planner.namespace, "--type=merge", "-p",
                    '{"metadata":{"finalizers":null}}')  # fmt: skip


# What is only planned


def test_namespaces_and_kinds_that_are_only_planned(planner: Planner) -> None:
    name = f"test-{uuid.uuid4().hex[:8]}"
    group = f"{name}.example.com"
    inside = CONFIG.replace("name: web", f"name: web, namespace: {name}")
    custom = f"{{apiVersion: {group}/v1, kind: DriftRule, metadata: {{name: web}}, spec: {{}}}}\n"
    missing = planner.plan(inside + "---\n" + custom)
    assert operations(missing) == [("unknown", "ConfigMap"), ("unknown", "DriftRule")]
    assert [bool(error.hint) for error in missing.troubles] == [True, True]
    made = f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n"
    text = "---\n".join([made, KIND.replace("GROUP", group), inside, custom])
    for try_new in (False, True):
        planned = planner.plan(text, try_new=try_new)
        assert {operation for operation, _ in operations(planned)} == {"create"}
    assert planned.plan.changes[3].object.namespace == planner.namespace
    reasons = [change.reason for change in planned.plan.changes]
    assert reasons[2:] == [
        "its namespace is only planned, so it was tried in 'default'",
        "its CustomResourceDefinition is only planned, so the server could not be asked",
    ]
    broken = planner.plan(text.replace("data: {mode: calm}", "data: {mode: {}}"), try_new=True)
    assert operations(broken)[2][0] == "unknown"


# Requests


class Counting:
    """A cluster that notes what it is asked."""

    def __init__(self, cluster: Kubernetes) -> None:
        self._cluster = cluster
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cluster, name)
        if name not in ("list", "get", "apply"):
            return found

        def noted(*words: Any, **more: Any) -> Any:
            self.asked.append(f"{name} {words[0].kind if name != 'apply' else words[0]['kind']}")
            return found(*words, **more)

        return noted


def test_what_is_settled_costs_one_list_for_each_kind_and_no_more(planner: Planner, kubernetes: Kubernetes) -> None:
    text = "---\n".join(
        [
            CONFIG,
            CONFIG.replace("web", "more"),
            SERVICE,
            SECRET,
            SECRET.replace("web", "more"),
            DEPLOYMENT.replace('limits: {cpu: 1000m, memory: 1024Mi}, requests: {cpu: "0.5"}', ""),
        ]
    )
    counting = Counting(kubernetes)
    planner.cluster = counting  # type: ignore[assignment]
    planner.deploy(text)
    counting.asked.clear()
    assert planner.plan(text).plan.is_empty
    assert sorted(counting.asked) == [
        "get Deployment", "get Service", "list ConfigMap", "list HorizontalPodAutoscaler", "list Secret",
    ]  # fmt: skip
    counting.asked.clear()
    planner.plan(text + "---\n" + CONFIG.replace("web", "new"))
    assert not [word for word in counting.asked if word.startswith("apply")]
    planner.plan(text + "---\n" + CONFIG.replace("web", "new"), try_new=True)
    assert [word for word in counting.asked if word.startswith("apply")] == ["apply ConfigMap"]


# What may not be read

VERBS = ["get", "list", "patch", "create"]
RIGHTS = [
    {"apiGroups": [""], "resources": ["configmaps", "services"], "verbs": VERBS},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": VERBS},
]


@pytest.fixture
def limited(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Kubernetes]:
    """An account that may read some kinds of its one namespace."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "limited"},
        "rules": RIGHTS,
    }
    (tmp_path / "role.json").write_text(json.dumps(role))
    cluster.kubectl("apply", "-n", namespace, "-f", str(tmp_path / "role.json"))
    cluster.kubectl("create", "serviceaccount", "limited", "-n", namespace)
    cluster.kubectl("create", "rolebinding", "limited", "-n", namespace, "--role=limited",
                    f"--serviceaccount={namespace}:limited")  # fmt: skip
    token = cluster.kubectl("create", "token", "limited", "-n", namespace).strip()
    config = tmp_path / "kubeconfig"
    config.write_text(cluster.kubectl("config", "view", "--raw", "--flatten", "--minify"))
    program = str(cluster.programs / "kubectl") if cluster.programs else "kubectl"
    for words in (["config", "set-credentials", "limited", f"--token={token}"],
                  ["config", "set-context", "--current", "--user=limited"]):  # fmt: skip
        subprocess.run([program, "--kubeconfig", str(config), *words], check=True, capture_output=True)
    opened = Kubernetes(Access(None, str(config)), namespace)
    yield opened
    opened.close()


def test_a_kind_that_may_not_be_read_is_told_and_never_taken_for_absent(planner: Planner, limited: Kubernetes) -> None:
    text = "---\n".join([CONFIG, SERVICE, SECRET, DEPLOYMENT])
    planner.deploy(text)
    planner.cluster = limited
    found = planner.plan(text)
    assert operations(found) == [
        ("unchanged", "ConfigMap"), ("unchanged", "Service"), ("unknown", "Secret"), ("unchanged", "Deployment"),
    ]  # fmt: skip
    assert 'cannot list resource "secrets"' in found.troubles[0].message or "secrets" in found.troubles[0].message
    live = observe(limited, [found.prepared], [planner.inventory])
    assert any("replicas are taken for Git's" in warning for warning in live.warnings)
    assert live.failed(Key("", "Secret", planner.namespace, "web"))
    assert not live.failed(Key("", "ConfigMap", planner.namespace, "web"))


def test_one_namespace_at_a_time_where_the_whole_cluster_may_not_be_read(planner: Planner, limited: Kubernetes) -> None:
    """The names of more namespaces than are listed one by one; only one of them may be read."""
    planner.deploy(CONFIG)
    others = [f"{planner.namespace}-{number}" for number in range(5)]
    held = tuple(Member(Key("", "ConfigMap", other, "web"), "v1") for other in others)
    planner.members += held
    live = observe(limited, [planner.prepared(CONFIG)], [planner.inventory])
    assert live.get(Key("", "ConfigMap", planner.namespace, "web"))
    assert [bool(live.failed(member.key)) for member in held] == [True] * 5


def test_an_autoscaler_of_another_app_counts_too(planner: Planner, cluster: Cluster) -> None:
    planner.deploy(DEPLOYMENT)
    other = Planner(planner.cluster, planner.namespace, app="scaling")
    other.deploy(AUTOSCALER)
    cluster.kubectl("scale", "deployment", "web", "-n", planner.namespace, "--replicas=2")
    found = planner.plan(DEPLOYMENT)
    assert found.plan.is_empty
    assert found.plan.changes[0].reason == "spec.replicas is left to its autoscaler"
