from __future__ import annotations

import pytest

from ci_gitops.core.manifests import kind_rank, parse, text
from ci_gitops.errors import RenderError


def config(value: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{x: {value}}}\n"


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("2026-01-01", "2026-01-01"),
        ("1:30", "1:30"),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("", None),
        ("010", 8),
        ("0", 0),
        ("-12", -12),
        ("1e3", 1000.0),
        ("1.10", 1.1),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
        ("0x1F", 31),
        ("=", "="),
    ],
)
def test_scalars_are_read_as_kubernetes_reads_them(scalar: str, value: object) -> None:
    (manifest,) = parse(config(scalar), "a file")
    assert manifest.document["data"]["x"] == value


def test_items_of_a_list_are_objects() -> None:
    first, second = parse(
        "kind: List\napiVersion: v1\nitems:\n"
        "- {apiVersion: v1, kind: Secret, metadata: {name: a, namespace: n}}\n"
        "- {apiVersion: v1, kind: Service, metadata: {name: b}}\n---\n# nothing\n",
        "a file",
    )
    assert str(first) == "Secret n/a"
    assert second.identity == {"apiVersion": "v1", "kind": "Service", "namespace": None, "name": "b"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("- a\n- b\n", "no Kubernetes object"),
        ("kind: Pod\nmetadata: {name: a}\n", "f: apiVersion of a must be text, and is missing"),
        ("apiVersion: v1\nkind: Pod\n", r"f: metadata\.name of Pod must be text, and is missing"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: 12}\n", "must be text, and is 12"),
        ("a: [", "f is not YAML: .*line 2"),
    ],
)
def test_what_is_no_object(document: str, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        parse(document, "f")


def test_what_others_need_comes_first() -> None:
    kinds = ("Widget", "Deployment", "Service", "Namespace", "ConfigMap")
    assert sorted(kinds, key=kind_rank) == ["Namespace", "ConfigMap", "Service", "Deployment", "Widget"]


def test_what_is_written_reads_back() -> None:
    manifests = parse(config("'yes'") + "---\n" + config("[1, {a: 2026-01-01}]"), "a file")
    assert parse(text(manifests), "a file") == manifests


def test_a_hook_may_leave_its_name_to_each_deploy() -> None:
    job = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-, annotations: {HOOK: PreSync}}\n"
    for annotation in ("ci-gitops/hook", "argocd.argoproj.io/hook"):
        (hook,) = parse(job.replace("HOOK", annotation), "a file")
        assert hook.name == "migrate-"
        assert "name" not in hook.document["metadata"]
    with pytest.raises(RenderError, match="Job migrate-… has generateName and no name: each deploy would make another"):
        parse(job.replace("HOOK", "other"), "a file")
    (named,) = parse(job.replace("generateName: migrate-", "generateName: migrate-, name: once"), "a file")
    assert named.name == "once"
