"""What is sent for what was rendered: complete, marked, hooks apart."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ci_gitops.core.inventory import Inventory, Key
from ci_gitops.core.manifests import Manifest, parse
from ci_gitops.core.prepared import Prepared, prepare, rendered_hash
from ci_gitops.core.targets import Target
from ci_gitops.errors import RenderError

TARGET = Target("shop", "staging", "apps/shop")
OURS = Inventory(TARGET, "acme-config", "shop")
CLUSTER_WIDE = {"Namespace", "ClusterRole"}

CONFIG = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {generateName: migrate-, annotations: {ci-gitops/hook: "PreSync,PostSync"}}
spec: {ttlSecondsAfterFinished: 5, template: {spec: {}}}
"""


def namespaced(api_version: str, kind: str) -> bool | None:
    return None if api_version.startswith("unknown") else kind not in CLUSTER_WIDE


def manifests(*texts: str) -> list[Manifest]:
    return [manifest for text in texts for manifest in parse(text, "test")]


def prepared(*texts: str, inventory: Inventory | None = OURS) -> Prepared:
    return prepare(TARGET, manifests(*texts), namespace="shop", scopes=namespaced, inventory=inventory)


def metadata(found: Prepared) -> Any:
    return found.documents[0]["metadata"]


def test_an_object_is_marked_as_ours_and_says_where_it_lives() -> None:
    found = metadata(prepared(CONFIG.replace("name: a", "name: a, labels: {mine: x}")))
    assert found["namespace"] == "shop"
    assert found["labels"]["mine"] == "x"
    assert found["labels"]["ci-gitops/app"] == "shop"
    assert found["labels"]["applyset.kubernetes.io/part-of"] == OURS.applyset
    assert found["annotations"] == {"ci-gitops/source": "acme-config"}


def test_in_a_folder_nothing_is_changed_of_what_was_rendered() -> None:
    rendered = manifests(CONFIG, JOB)
    found = prepared(CONFIG, JOB, inventory=None)
    assert list(found.documents) == [manifest.document for manifest in rendered]
    assert found.hooks == ()
    assert found.rendered == prepared(CONFIG, JOB).rendered


@pytest.mark.parametrize(
    ("text", "namespace"),
    [
        (CONFIG.replace("name: a", "name: a, namespace: b"), "b"),
        (CONFIG.replace("ConfigMap", "ClusterRole").replace("name: a", "name: a, namespace: b"), None),
        (CONFIG.replace("apiVersion: v1", "apiVersion: unknown/v1"), None),
    ],
    ids=["its own", "of the whole cluster", "a kind that nobody knows"],
)
def test_where_an_object_lives(text: str, namespace: str | None) -> None:
    assert metadata(prepared(text)).get("namespace") == namespace


def test_hooks_are_apart_named_and_no_members_of_the_set() -> None:
    found = prepared(JOB, CONFIG) if _names_are_generated() else prepared(JOB.replace("generateName", "name"), CONFIG)
    assert len(found.documents) == 1
    assert [hook.phase for hook in found.hooks] == ["PreSync", "PostSync"]
    for hook in found.hooks:
        assert hook.document["metadata"]["name"].startswith("migrate-")
        assert "generateName" not in hook.document["metadata"]
        assert "ttlSecondsAfterFinished" not in hook.document["spec"]
        assert "applyset.kubernetes.io/part-of" not in hook.document["metadata"]["labels"]


def _names_are_generated() -> bool:
    try:
        return bool(manifests(JOB))
    except RenderError:
        return False


def test_what_is_skipped_counts_as_declared_and_is_not_sent() -> None:
    found = prepared(CONFIG.replace("name: a", "name: a, annotations: {ci-gitops/hook: Skip}"))
    assert found.documents == ()
    assert found.keys == {Key("", "ConfigMap", "shop", "a")}


def test_a_hook_that_nobody_knows_is_told() -> None:
    found = prepared(CONFIG.replace("name: a", "name: a, annotations: {ci-gitops/hook: PreSink}"))
    assert "'PreSink'" in found.warnings[0]


def test_one_object_twice_is_refused_and_both_are_named() -> None:
    other = CONFIG.replace("name: a", "name: a, namespace: shop")
    with pytest.raises(RenderError, match=r"ConfigMap shop/a is rendered 2 times: object 1 \(v1\) and object 3 \(v1\)"):
        prepared(CONFIG, CONFIG.replace("name: a", "name: b"), other)


def test_the_hash_knows_hooks_and_values_and_no_order() -> None:
    texts = [CONFIG, CONFIG.replace("name: a", "name: b"), JOB.replace("generateName", "name")]
    shuffled = random.Random(1).sample(texts, len(texts))
    assert rendered_hash(manifests(*texts)) == rendered_hash(manifests(*shuffled))
    assert rendered_hash(manifests(*texts)) != rendered_hash(manifests(*texts[:2]))
    assert rendered_hash(manifests(CONFIG)) != rendered_hash(manifests(CONFIG.replace("name: a", "name: '1'")))
