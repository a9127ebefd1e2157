"""The order of applying: phase, wave, kind, name, and what must be there before."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ci_gitops
from ci_gitops.core.hooks import PHASES, wishes
from ci_gitops.core.manifests import kind_rank, parse
from ci_gitops.core.stages import Stage, order, removal

ARGO = "argocd.argoproj.io/"
KINDS = [
    "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodSecurityPolicy", "PodDisruptionBudget",
    "ServiceAccount", "Secret", "ConfigMap", "StorageClass", "PersistentVolume", "PersistentVolumeClaim",
    "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service",
    "DaemonSet", "Pod", "ReplicationController", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler",
    "StatefulSet", "Job", "CronJob", "IngressClass", "Ingress", "APIService", "Sprocket",
    "ValidatingWebhookConfiguration",
]  # fmt: skip


def thing(kind: str, name: str = "a", *, wave: int | None = None, hook: str | None = None, namespace: str | None = None,
          **content: Any) -> dict[str, Any]:  # fmt: skip
    annotations = {f"{ARGO}sync-wave": str(wave)} if wave is not None else {}
    if hook:
        annotations["helm.sh/hook" if "-" in hook or hook == "test" else f"{ARGO}hook"] = hook
    metadata = {"name": name, "annotations": annotations, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}


def definition(kind: str, **about: Any) -> dict[str, Any]:
    spec = {"group": "example.com", "names": {"kind": kind}}
    return thing("CustomResourceDefinition", f"{kind.lower()}s.example.com", spec=spec, **about)


def custom(kind: str, name: str = "a", **about: Any) -> dict[str, Any]:
    return {**thing(kind, name, **about), "apiVersion": "example.com/v1"}


def names(stages: tuple[Stage, ...]) -> list[list[str]]:
    return [[f"{item['kind']}/{item['metadata']['name']}" for item in stage] for stage in stages]


def test_kinds(rng: random.Random) -> None:
    shuffled = [thing(kind) for kind in KINDS]
    rng.shuffle(shuffled)
    assert [stage.manifests[0]["kind"] for stage in order(shuffled)] == KINDS


def test_objects_of_one_kind_go_side_by_side_in_the_order_of_their_names() -> None:
    assert names(order([thing("Secret", "b"), thing("ConfigMap", "z"), thing("Secret", "a")])) == [
        ["Secret/a", "Secret/b"],
        ["ConfigMap/z"],
    ]


def test_phases_and_waves() -> None:
    given_ = [
        thing("Job", "smoke", hook="PostSync"),
        thing("Job", "alarm", hook="SyncFail"),
        thing("Deployment", "late", wave=5),
        thing("Deployment", "web"),
        thing("Deployment", "early", wave=-5),
        thing("Job", "migrate", hook="PreSync"),
        thing("Job", "backup", hook="PreSync", wave=-1),
        thing("Job", "both", hook="PreSync,PostSync", wave=2),
    ]
    assert [(stage.phase, stage.wave, *names((stage,))[0]) for stage in order(given_)] == [
        ("PreSync", -1, "Job/backup"),
        ("PreSync", 0, "Job/migrate"),
        ("PreSync", 2, "Job/both"),
        ("Sync", -5, "Deployment/early"),
        ("Sync", 0, "Deployment/web"),
        ("Sync", 5, "Deployment/late"),
        ("PostSync", 0, "Job/smoke"),
        ("PostSync", 2, "Job/both"),
        ("SyncFail", 0, "Job/alarm"),
    ]


@pytest.mark.parametrize(
    ("manifests", "expected"),
    [
        pytest.param(
            [thing("Secret", "s", namespace="n", wave=-2), thing("Namespace", "n", wave=3)],
            [("Sync", -2, ["Namespace/n"]), ("Sync", -2, ["Secret/s"])],
            id="a namespace of a later wave",
        ),
        pytest.param(
            [thing("Job", "j", namespace="n", hook="PreSync", wave=4), thing("Namespace", "n")],
            [("PreSync", 4, ["Namespace/n"]), ("PreSync", 4, ["Job/j"])],
            id="a namespace that a hook needs",
        ),
        pytest.param(
            [custom("Sprocket", hook="PreSync"), definition("Sprocket"), definition("Gear")],
            [
                ("PreSync", 0, ["CustomResourceDefinition/sprockets.example.com"]),
                ("PreSync", 0, ["Sprocket/a"]),
                ("Sync", 0, ["CustomResourceDefinition/gears.example.com"]),
            ],
            id="a definition that a hook needs",
        ),
        pytest.param(
            [thing("Namespace", "n", wave=-9), thing("Secret", "s", namespace="n")],
            [("Sync", -9, ["Namespace/n"]), ("Sync", 0, ["Secret/s"])],
            id="a namespace that is early enough",
        ),
        pytest.param(
            [thing("Namespace", "n", wave=1), thing("Secret", "s")],
            [("Sync", 0, ["Secret/s"]), ("Sync", 1, ["Namespace/n"])],
            id="a namespace that nobody needs",
        ),
        pytest.param(
            [thing("Pod", "p", spec={"priorityClassName": "high"}), thing("PriorityClass", "high"),
             thing("PriorityClass", "low")],
            [("Sync", 0, ["PriorityClass/high"]), ("Sync", 0, ["Pod/p"]), ("Sync", 0, ["PriorityClass/low"])],
            id="a class that a pod names",
        ),
        pytest.param(
            [thing("CronJob", "c", spec={"jobTemplate": {"spec": {"template": {"spec": {"runtimeClassName": "r"}}}}}),
             thing("RuntimeClass", "r")],
            [("Sync", 0, ["RuntimeClass/r"]), ("Sync", 0, ["CronJob/c"])],
            id="a class deep in a template",
        ),
        pytest.param(
            [thing("Deployment", "d", wave=0), thing("ConfigMap", "c", wave=1)],
            [("Sync", 0, ["Deployment/d"]), ("Sync", 1, ["ConfigMap/c"])],
            id="waves are what was asked for",
        ),
        pytest.param(
            [thing("ValidatingWebhookConfiguration", "a"), custom("Sprocket", "b"), thing("APIService", "c")],
            [("Sync", 0, ["APIService/c"]), ("Sync", 0, ["Sprocket/b"]),
             ("Sync", 0, ["ValidatingWebhookConfiguration/a"])],
            id="webhooks end a wave",
        ),
    ],
)  # fmt: skip
def test_what_is_needed_comes_first(manifests: list[dict[str, Any]], expected: list[Any]) -> None:
    assert [(stage.phase, stage.wave, *names((stage,))) for stage in order(manifests)] == expected


def test_the_destinations_namespace_counts_where_none_is_named() -> None:
    manifests = [thing("Secret", "s"), thing("Namespace", "shop", wave=1)]
    assert names(order(manifests, namespace="shop")) == [["Namespace/shop"], ["Secret/s"]]


def test_what_is_left_out() -> None:
    out = [
        thing("Job", hook="test"),
        thing("Job", hook="Skip"),
        thing("Job", hook="PreDelete"),
        thing("Job", hook="Oops"),
    ]
    assert order(out) == ()
    assert [stage.phase for stage in order(out, phases=("PreDelete", "PostDelete"))] == ["PreDelete"]


@pytest.mark.parametrize(("installing", "expected"), [(True, ["i", "x"]), (False, ["u", "x"]), (None, ["i", "u", "x"])])
def test_helm_tells_the_first_deploy_from_others(installing: bool | None, expected: list[str]) -> None:
    hooks = [thing("Job", "i", hook="pre-install"), thing("Job", "u", hook="pre-upgrade"),
             thing("Job", "x", hook="pre-install,pre-upgrade")]  # fmt: skip
    (stage,) = order(hooks, installing=installing)
    assert [job["metadata"]["name"] for job in stage] == expected
    assert len(stage) == len(expected)


def test_removal_is_the_reverse_without_hooks() -> None:
    manifests = [thing("Job", hook="PreSync"), thing("Namespace", "n"), custom("Sprocket"), definition("Sprocket"),
                 thing("Secret", "a", wave=1), thing("Secret", "b", wave=1)]  # fmt: skip
    assert names(removal(manifests)) == [
        ["Secret/b", "Secret/a"],
        ["Sprocket/a"],
        ["CustomResourceDefinition/sprockets.example.com"],
        ["Namespace/n"],
    ]


def test_records_are_ordered_too() -> None:
    manifests = parse("kind: Secret\napiVersion: v1\nmetadata: {name: b}\n---\n"
                      "kind: Namespace\napiVersion: v1\nmetadata: {name: a}\n", "a file")  # fmt: skip
    assert [stage.manifests for stage in ci_gitops.order(manifests)] == [(manifests[1],), (manifests[0],)]


THINGS = st.builds(
    thing,
    st.sampled_from(KINDS),
    st.sampled_from("abc"),
    wave=st.none() | st.integers(-2, 2),
    hook=st.none() | st.sampled_from(["PreSync", "PostSync", "SyncFail", "PreSync,PostSync", "pre-install"]),
    namespace=st.none() | st.sampled_from("abc"),
)
CUSTOM = st.builds(custom, st.sampled_from(["Sprocket", "Gear"]), wave=st.none() | st.integers(-2, 2))
DEFINITIONS = st.builds(definition, st.sampled_from(["Sprocket", "Gear"]), wave=st.none() | st.integers(-2, 2))


@settings(max_examples=60)
@given(st.lists(THINGS | CUSTOM | DEFINITIONS, max_size=12))
def test_an_order_is_a_permutation_that_keeps_every_rule(manifests: list[dict[str, Any]]) -> None:
    stages = order(manifests)
    flat = [(stage, item) for stage in stages for item in stage]
    assert sorted(id(item) for _, item in flat) == sorted(
        id(item) for item in manifests for _ in wishes(item).hooks or [None]
    )
    marks = [(PHASES.index(stage.phase), stage.wave) for stage, _ in flat]
    assert marks == sorted(marks)
    for number, (stage, item) in enumerate(flat):
        kept = item["kind"] in ("Namespace", "CustomResourceDefinition") or stage.wave == wishes(item).wave
        assert kept
        for later_stage, later in flat[number + 1 :]:
            if (later_stage.phase, later_stage.wave) == (stage.phase, stage.wave) and not is_needed(item):
                assert kind_rank(item["kind"]) <= kind_rank(later["kind"]) or is_needed(later)
            assert not (is_needed(later) and needs(item, later) and not is_needed_early(later, flat, number))


@settings(max_examples=60)
@given(st.lists(THINGS | CUSTOM | DEFINITIONS, max_size=12), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_objects_were_rendered(manifests: list[dict[str, Any]], shuffle: Any) -> None:
    unique = list({f"{item['kind']} {item['metadata']['name']}": item for item in manifests}.values())
    other = list(unique)
    shuffle.shuffle(other)
    assert [list(map(str, stage)) for stage in order(unique)] == [list(map(str, stage)) for stage in order(other)]


def is_needed(item: dict[str, Any]) -> bool:
    return item["kind"] in ("Namespace", "CustomResourceDefinition")


def needs(item: dict[str, Any], needed: dict[str, Any]) -> bool:
    if needed["kind"] == "Namespace":
        return item["metadata"].get("namespace") == needed["metadata"]["name"] and not is_needed(item)
    return item["apiVersion"] == "example.com/v1" and item["kind"] == needed.get("spec", {}).get("names", {}).get(
        "kind"
    )


def is_needed_early(needed: dict[str, Any], flat: list[Any], before: int) -> bool:
    """Whether the same object, as a hook of several phases, has come already."""
    return any(item is needed for _, item in flat[:before])
