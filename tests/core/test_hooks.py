"""Hook, wave and sync-option annotations in the three spellings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.hooks import PHASES, Hook, Options, as_applied, hook_name, wishes

ARGO = "argocd.argoproj.io/"


def annotated(annotations: dict[str, Any] | None) -> dict[str, Any]:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "annotations": annotations}}


PRE, POST = Hook("PreSync"), Hook("PostSync")


@pytest.mark.parametrize(
    ("annotations", "hooks"),
    [
        ({f"{ARGO}hook": "PreSync"}, (PRE,)),
        ({"ci-gitops/hook": "PostSync"}, (POST,)),
        ({f"{ARGO}hook": " PostSync , PreSync,PreSync"}, (PRE, POST)),
        ({f"{ARGO}hook": "SyncFail"}, (Hook("SyncFail"),)),
        ({f"{ARGO}hook": "PreDelete,PostDelete"}, (Hook("PreDelete"), Hook("PostDelete"))),
        ({f"{ARGO}hook": "Skip,PreSync"}, (PRE,)),
        ({f"{ARGO}hook": "PreSync", "helm.sh/hook": "post-install"}, (PRE,)),
        ({"ci-gitops/hook": "PostSync", f"{ARGO}hook": "PreSync"}, (POST,)),
        ({"helm.sh/hook": "pre-install"}, (Hook("PreSync", at_upgrade=False),)),
        ({"helm.sh/hook": "pre-upgrade"}, (Hook("PreSync", at_install=False),)),
        ({"helm.sh/hook": "pre-install, pre-upgrade"}, (PRE,)),
        ({"helm.sh/hook": "post-install,post-upgrade"}, (POST,)),
        (
            {"helm.sh/hook": "pre-install,post-upgrade"},
            (Hook("PreSync", at_upgrade=False), Hook("PostSync", at_install=False)),
        ),
        ({"helm.sh/hook": "pre-delete"}, (Hook("PreDelete"),)),
        ({"helm.sh/hook": "post-install,test"}, (Hook("PostSync", at_upgrade=False),)),
        ({"helm.sh/hook": "test"}, ()),
        ({"helm.sh/hook": "test-success"}, ()),
        ({"helm.sh/hook": "pre-rollback,post-rollback"}, ()),
        ({f"{ARGO}hook": "PreSnyc"}, ()),
    ],
)
def test_hooks(annotations: dict[str, str], hooks: tuple[Hook, ...]) -> None:
    found = wishes(annotated(annotations))
    assert found.is_hook
    assert not found.skipped
    assert found.hooks == hooks


@pytest.mark.parametrize(
    "annotations",
    [None, {}, {"helm.sh/hook": "crd-install"}, {"helm.sh/hook": ""}, {"other/hook": "PreSync"}, "PreSync"],
)
def test_objects_that_are_no_hooks(annotations: Any) -> None:
    found = wishes(annotated(annotations))
    assert not found.is_hook
    assert not found.skipped
    assert found.options == Options()


def test_skip_alone_leaves_an_object_alone() -> None:
    found = wishes(annotated({f"{ARGO}hook": "Skip"}))
    assert found.skipped
    assert not found.is_hook


def test_what_was_not_understood_is_told() -> None:
    assert wishes(annotated({f"{ARGO}hook": "PreSnyc,Sync"})).unknown == ("PreSnyc",)
    assert wishes(annotated({"helm.sh/hook": "pre-instal,test"})).unknown == ("pre-instal",)


@pytest.mark.parametrize(
    ("annotations", "wave"),
    [
        ({}, 0),
        ({f"{ARGO}sync-wave": "5"}, 5),
        ({f"{ARGO}sync-wave": "-5"}, -5),
        ({f"{ARGO}sync-wave": 3}, 3),
        ({"ci-gitops/sync-wave": "1", f"{ARGO}sync-wave": "2"}, 1),
        ({"helm.sh/hook-weight": "7"}, 7),
        ({f"{ARGO}sync-wave": "2", "helm.sh/hook-weight": "7"}, 2),
        ({f"{ARGO}sync-wave": "first", "helm.sh/hook-weight": "7"}, 7),
        ({f"{ARGO}sync-wave": "first"}, 0),
        ({f"{ARGO}sync-wave": "1.5"}, 0),
        ({f"{ARGO}sync-wave": " 1"}, 0),
        ({f"{ARGO}sync-wave": "1_0"}, 0),
    ],
)
def test_waves(annotations: dict[str, Any], wave: int) -> None:
    assert wishes(annotated(annotations)).wave == wave


@pytest.mark.parametrize(
    ("annotations", "policies"),
    [
        ({}, {"BeforeHookCreation"}),
        ({f"{ARGO}hook-delete-policy": "Whenever"}, {"BeforeHookCreation"}),
        ({f"{ARGO}hook-delete-policy": "HookSucceeded, HookFailed"}, {"HookSucceeded", "HookFailed"}),
        ({"ci-gitops/hook-delete-policy": "HookFailed"}, {"HookFailed"}),
        ({"helm.sh/hook-delete-policy": "hook-succeeded"}, {"HookSucceeded"}),
        (
            {f"{ARGO}hook-delete-policy": "HookFailed", "helm.sh/hook-delete-policy": "before-hook-creation"},
            {"HookFailed", "BeforeHookCreation"},
        ),
    ],
)
def test_delete_policies(annotations: dict[str, str], policies: set[str]) -> None:
    assert wishes(annotated(annotations)).policies == policies


@pytest.mark.parametrize(
    ("annotations", "options"),
    [
        ({f"{ARGO}sync-options": "Prune=false"}, Options(prune="no")),
        ({f"{ARGO}sync-options": "Prune=confirm,Delete=confirm"}, Options(prune="confirm", delete="confirm")),
        ({"helm.sh/resource-policy": "keep"}, Options(prune="no", delete="no")),
        ({"helm.sh/resource-policy": "keep", "ci-gitops/sync-options": "Prune=true"}, Options(delete="no")),
        ({f"{ARGO}sync-options": "Prune=false", "ci-gitops/sync-options": "Prune=confirm"}, Options(prune="confirm")),
        ({f"{ARGO}sync-options": "PruneLast=true, Replace=true,Force=true"}, Options(prune_last=True, replace=True,
                                                                                     force=True)),
        ({f"{ARGO}sync-options": "SkipDryRunOnMissingResource=true"}, Options(skip_dry_run_on_missing=True)),
        ({f"{ARGO}ignore-healthcheck": "true"}, Options(ignore_health=True)),
        ({f"{ARGO}sync-options": "Validate=false,=,x"}, Options()),
    ],
)  # fmt: skip
def test_options(annotations: dict[str, str], options: Options) -> None:
    assert wishes(annotated(annotations)).options == options


def test_a_hooks_name_is_the_same_for_the_same_rendered_set() -> None:
    name = hook_name("migrate-", "abcdef0123456789", "PreSync", 0)
    assert name == "migrate-abcdef0-presync-0"
    assert hook_name("migrate-", "abcdef0123456789", "PreSync", 1) != name
    assert hook_name("migrate-", "fedcba9876543210", "PreSync", 0) != name


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=80), st.sampled_from(PHASES),
       st.integers(0, 999))  # fmt: skip
def test_a_hooks_name_fits_a_label_and_keeps_what_tells_it_apart(prefix: str, phase: Any, index: int) -> None:
    name = hook_name(prefix, "0123456789", phase, index)
    assert len(name) <= 63
    assert name.endswith(f"0123456-{phase.lower()}-{index}")


def test_a_hook_is_sent_with_its_name_and_without_a_time_to_vanish() -> None:
    document = {
        "kind": "Job",
        "metadata": {"generateName": "migrate-", "labels": {"a": "b"}},
        "spec": {"ttlSecondsAfterFinished": 0, "backoffLimit": 1},
    }
    assert as_applied(document, "migrate-1") == {
        "kind": "Job",
        "metadata": {"name": "migrate-1", "labels": {"a": "b"}},
        "spec": {"backoffLimit": 1},
    }
    assert document["spec"]["ttlSecondsAfterFinished"] == 0
