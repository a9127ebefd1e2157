"""Plans that were reviewed: read back, told from junk, and held against the plan of now."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ci_gitops.core.differences import created, deleted, unchanged
from ci_gitops.core.plan import Plan, PlanList, make_plan
from ci_gitops.core.plan_file import deviation, read_plan
from ci_gitops.core.targets import Target
from tests.core.test_plan import config

SHOP, BLOG = (Target(app, "staging", app) for app in ("shop", "blog"))


def written(*plans: Plan, **fields: Any) -> dict[str, Any]:
    document = PlanList("staging", "a" * 40, plans, "acme").document
    return {"apiVersion": "ci-gitops/v1", "kind": "PlanList", **json.loads(json.dumps(document)), **fields}


def test_a_plan_comes_back_as_what_was_agreed() -> None:
    shop, blog = make_plan(SHOP, [created(config())]), make_plan(BLOG, [unchanged(config())])
    found = read_plan(json.dumps(written(shop, blog)))
    assert (found.environment, found.source) == ("staging", "acme")
    assert found.targets == {"shop": shop.hash}


JUNK = [
    ("", "Expecting value"),
    ("[]", "expected an object"),
    ("{}", "apiVersion is missing"),
    (json.dumps({"create": 1}), "is missing"),
    (json.dumps(written(kind="DeployResult")), "kind: expected 'PlanList'"),
    (json.dumps(written(apiVersion="v2")), "apiVersion: expected"),
    (json.dumps(written(hash="sha256:" + "0" * 64)), "the file was changed"),
    (json.dumps(written(hash="abc")), "hash: 'abc'"),
    (json.dumps(written(make_plan(SHOP, [created(config())]), environment="production")), "several environments"),
]


@pytest.mark.parametrize(("content", "words"), JUNK, ids=[words for _, words in JUNK])
def test_junk_is_told_from_a_plan(content: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_plan(content)


def test_what_is_no_longer_what_was_agreed() -> None:
    agreed = make_plan(SHOP, [created(config())])
    reviewed = read_plan(json.dumps(written(agreed)))
    assert deviation(reviewed, agreed) is None
    assert deviation(reviewed, make_plan(SHOP, [unchanged(config())])) is None
    assert "no longer the reviewed one" in str(deviation(reviewed, make_plan(SHOP, [created(config(value="c"))])))
    assert "no longer" in str(deviation(reviewed, make_plan(SHOP, [created(config()), deleted(config("z"))])))
    assert "is not changed by the reviewed plan" in str(deviation(reviewed, make_plan(BLOG, [created(config())])))


def test_hooks_are_agreed_too() -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "m", "namespace": "n"}, "spec": {"a": 1}}
    one = make_plan(SHOP, [], hooks=[("PreSync", job)])
    other = make_plan(SHOP, [], hooks=[("PreSync", {**job, "spec": {"a": 2}})])
    assert not one.is_empty
    assert one.hash != other.hash
    assert one.hash != make_plan(SHOP, []).hash
    assert read_plan(json.dumps(written(one))).targets == {"shop": one.hash}
    assert replace(one, hooks=()).is_empty
