"""A folder as a cluster where nothing acts: what plans say of it, and what stands in its files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_gitops.adapters.cluster.base import FIELD_MANAGER, ApiError, Cluster
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.cluster.files import MAX_BYTES, LocalFiles
from ci_gitops.core.differences import updated
from ci_gitops.core.settled import is_settled
from ci_gitops.core.targets import Target
from ci_gitops.core.whole_objects import file_name
from ci_gitops.errors import ClusterError, TemporaryError

TARGET = Target("shop", "production", "apps/shop")


def web(image: str = "web:1", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, **metadata},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {"name": "web", "image": image, "args": ["--verbose"], "env": [{"name": "A", "value": "1"}]},
                        {"name": "proxy", "image": "proxy:1", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
                    ],
                    "tolerations": [{"operator": "Exists"}, {"operator": "Exists", "effect": "NoSchedule"}],
                },
            },
        },
    }


def directory(folder: Path) -> Cluster:
    return Directory(LocalFiles(folder), TARGET)


def live(cluster: Cluster, document: dict[str, Any]) -> Any:
    resource = cluster.resource(document["apiVersion"], document["kind"])
    assert resource
    metadata = document["metadata"]
    return cluster.get(resource, metadata.get("namespace", ""), metadata["name"])


def test_what_was_applied_is_there_as_it_was_declared_and_settled(tmp_path: Path) -> None:
    directory(tmp_path).apply(web())
    file = tmp_path / "production" / "shop" / "shop_apps_v1_deployment_web.yaml"
    assert yaml.safe_load(file.read_text()) == web()
    again = directory(tmp_path)
    found = live(again, web())
    dry = again.apply(web(), dry_run=True)
    assert updated(found, dry, FIELD_MANAGER).operation == "unchanged"
    plain = web()
    del plain["spec"]["template"]["spec"]["tolerations"]  # which nothing tells apart: they take a closer look
    directory(tmp_path).apply(plain)
    assert is_settled(plain, live(directory(tmp_path), plain), FIELD_MANAGER)


def test_a_change_names_its_field(tmp_path: Path) -> None:
    directory(tmp_path).apply(web())
    cluster = directory(tmp_path)
    found = live(cluster, web())
    assert not is_settled(web("web:2"), found, FIELD_MANAGER)
    compared = updated(found, cluster.apply(web("web:2"), dry_run=True), FIELD_MANAGER)
    assert compared.operation == "update"
    (difference,) = compared.differences
    assert (difference.old, difference.new, difference.manager) == ("web:1", "web:2", None)
    assert [str(step) for step in difference.path][-2:] == ['[name="web"]', "image"]
    assert live(directory(tmp_path), web()) == found  # a dry run writes nothing


def test_what_a_person_added_to_a_file_is_drift_and_goes(tmp_path: Path) -> None:
    directory(tmp_path).apply(web())
    file = tmp_path / "production" / "shop" / "shop_apps_v1_deployment_web.yaml"
    document = yaml.safe_load(file.read_text())
    document["spec"]["paused"] = True
    file.write_text("# by hand\n" + yaml.safe_dump(document))
    cluster = directory(tmp_path)
    found = live(cluster, web())
    assert not is_settled(web(), found, FIELD_MANAGER)
    compared = updated(found, cluster.apply(web(), dry_run=True), FIELD_MANAGER)
    assert [(step.path, step.old) for step in compared.differences] == [(("spec", "paused"), True)]
    cluster.apply(web())
    assert yaml.safe_load(file.read_text()) == web()


def test_a_file_that_says_the_same_in_other_words_is_left_alone(tmp_path: Path) -> None:
    directory(tmp_path).apply(web())
    file = tmp_path / "production" / "shop" / "shop_apps_v1_deployment_web.yaml"
    file.write_text("# a comment of ours\n" + yaml.safe_dump(web()))
    directory(tmp_path).apply(web())
    assert file.read_text().startswith("# a comment of ours\n")


def test_a_new_version_of_an_object_takes_its_place(tmp_path: Path) -> None:
    budget = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": {}}
    directory(tmp_path).apply(budget)
    cluster = directory(tmp_path)
    uid = live(cluster, budget)["metadata"]["uid"]
    answer = cluster.apply({**budget, "apiVersion": "policy/v1"})
    assert answer["metadata"]["uid"] == uid
    names = [file.name for file in (tmp_path / "production" / "shop").iterdir()]
    assert names == ["policy_v1_poddisruptionbudget_web.yaml"]


def test_objects_are_listed_and_deleted_by_what_they_are(tmp_path: Path) -> None:
    cluster = directory(tmp_path)
    for name, namespace in (("a", "one"), ("b", "two")):
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
        cluster.apply(config)
    resource = cluster.resource("v1", "ConfigMap")
    assert resource
    assert resource.namespaced
    assert [each["metadata"]["name"] for each in cluster.list(resource).items] == ["a", "b"]
    assert [each["metadata"]["name"] for each in cluster.list(resource, "two").items] == ["b"]
    assert [each["metadata"]["name"] for each in cluster.list(resource, fields="metadata.name=b").items] == ["b"]
    with pytest.raises(ApiError, match="by namespace and name only"):
        cluster.list(resource, labels="app=web")
    assert not cluster.delete(resource, "one", "a", uid="of another")
    assert cluster.delete(resource, "one", "a", dry_run=True)
    assert cluster.delete(resource, "one", "a")
    assert not cluster.delete(resource, "one", "a")
    assert cluster.delete(resource, "two", "b")
    assert list(tmp_path.iterdir()) == []  # empty folders go


def test_what_is_a_persons_own_stays(tmp_path: Path) -> None:
    folder = tmp_path / "production" / "shop"
    folder.mkdir(parents=True)
    for name, content in (("README.md", "hello"), ("kustomization.yaml", "resources: []"), ("two.yaml", "a: 1\n---\n")):
        (folder / name).write_text(content)
    cluster = directory(tmp_path)
    cluster.apply(web())
    resource = cluster.resource("apps/v1", "Deployment")
    assert resource
    assert cluster.delete(resource, "shop", "web")
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "kustomization.yaml", "two.yaml"]


def test_a_hook_is_a_file_like_others(tmp_path: Path) -> None:
    hook = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "migrate-"}, "spec": {}}
    directory(tmp_path).apply(hook)
    (file,) = (tmp_path / "production" / "shop").iterdir()
    assert file.name == "batch_v1_job_migrate-.yaml"
    directory(tmp_path).apply({**hook, "spec": {"parallelism": 2}})
    assert yaml.safe_load(file.read_text()) == {**hook, "spec": {"parallelism": 2}}


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "production").symlink_to(tmp_path / "outside")
    with pytest.raises(ClusterError, match="link"):
        directory(tmp_path / "out").apply(web())
    (tmp_path / "out" / "production").unlink()
    directory(tmp_path / "out").apply(web())
    file = tmp_path / "out" / "production" / "shop" / "shop_apps_v1_deployment_web.yaml"
    target = tmp_path / "outside" / "file.yaml"
    file.rename(target)
    file.symlink_to(target)
    before = target.read_text()
    directory(tmp_path / "out").apply(web("web:2"))
    assert target.read_text() == before
    assert not file.is_symlink()


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    cluster = directory(tmp_path)
    cluster.create(web())
    with pytest.raises(ApiError, match="there already") as raised:
        cluster.create(web())
    assert raised.value.status == 409
    with pytest.raises(ApiError, match="has changed"):
        cluster.replace(web(resourceVersion="old"))
    resource = cluster.resource("apps/v1", "Deployment")
    assert resource
    with pytest.raises(ApiError, match="patches"):
        cluster.patch(resource, "shop", "web", [])
    big = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"a": "x" * MAX_BYTES}}
    with pytest.raises(ClusterError, match="larger than 10 MiB"):
        cluster.apply(big)


def test_only_one_run_writes(tmp_path: Path) -> None:
    one, other = LocalFiles(tmp_path), LocalFiles(tmp_path)
    with one.lock(".ci-gitops/lock", "job 7"):
        with pytest.raises(TemporaryError, match="job 7 is writing"), other.lock(".ci-gitops/lock", "job 8"):
            pass
        with other.lock(".ci-gitops/another", "job 8"):
            pass
    with other.lock(".ci-gitops/lock", "job 8"):
        pass


def test_names_are_kustomizes_and_never_meet() -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "a", "namespace": "x"}}
    assert file_name(role) == "x_rbac.authorization.k8s.io_v1_role_a.yaml"
    names = [file_name({**role, "metadata": {"name": name}}) for name in ("a:b", "a-b", "a/../b", "a" * 500, "a" * 501)]
    assert len(set(names)) == 5
    assert all("/" not in name and len(name) < 250 for name in names)


def test_files_have_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        directory(tmp_path).apply(web())
    finally:
        os.umask(before)
    (file,) = (tmp_path / "production" / "shop").iterdir()
    assert file.stat().st_mode & 0o777 == 0o640


_SCALARS = st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"])
_NAMES = st.sampled_from(["name", "port", "protocol", "a", "b"])
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=12
)


@settings(max_examples=300, deadline=None)
@given(_VALUES, _VALUES)
def test_no_change_is_hidden_and_none_is_invented(old: Any, new: Any) -> None:
    """Whatever a file holds: the plan says "unchanged" exactly where nothing differs."""
    before, after = (
        {"apiVersion": "x/v1", "kind": "Any", "metadata": {"name": "a"}, "spec": spec} for spec in (old, new)
    )
    cluster = Directory(_Memory(), TARGET)
    cluster.apply(before)
    found = live(cluster, before)
    equal = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    answer = cluster.apply(after, dry_run=True)
    assert (updated(found, answer, FIELD_MANAGER).operation == "unchanged") == equal
    assert is_settled(after, found, FIELD_MANAGER) <= equal


class _Memory(LocalFiles):
    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def contents(self, folder: str) -> Mapping[str, bytes]:
        return {path.rpartition("/")[2]: content for path, content in self._files.items()}

    def write(self, path: str, content: bytes) -> None:
        self._files[path] = content


def test_targets_come_and_go_side_by_side(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)

    def come_and_go(number: int) -> None:
        for _ in range(20):
            files.write(f"production/app-{number}/a.yaml", b"a")
            files.remove(f"production/app-{number}/a.yaml")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come_and_go, range(8)))
    assert list(tmp_path.iterdir()) == []
