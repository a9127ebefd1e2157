"""Promotions at once: of one app, and of many into one environment. All land or wait, and none is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.rig.promoting import Done, Road
from tests.rig.registry import RegistryServer

REQUEST = "write: merge-request"
FEW = 4


def at_once(calls: Sequence[Callable[[], Done]]) -> list[Done]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def apps(count: int) -> tuple[str, ...]:
    return tuple(f"app-{number:02}" for number in range(count))


def deployed(folder: Path, registry: RegistryServer, count: int, production: str) -> Road:
    road = Road(folder, registry, apps=apps(count), production=production)
    road.push("2")
    for app in road.apps:
        road.deployed(app, f"{road.web}:2")
    return road


def promoted(road: Road, app: str) -> Callable[[], Done]:
    return lambda: road(apps=(app,), timeout=300.0)


def test_two_promotions_of_one_app_make_one_merge_request(tmp_path: Path, registry: RegistryServer) -> None:
    road = deployed(tmp_path, registry, 1, REQUEST)
    done = at_once([promoted(road, road.apps[0])] * 2)
    assert [each.code for each in done] == [0, 0], [each.error for each in done]
    assert {each.json["mergeRequest"]["iid"] for each in done} == {1}
    assert road.branches() == ["ci-gitops/production/app-00"]
    ahead = road.server.messages("config", "ci-gitops/production/app-00")
    assert len(ahead) == len(road.server.messages("config")) + 1


def test_two_promotions_of_one_app_push_once(tmp_path: Path, registry: RegistryServer) -> None:
    road = deployed(tmp_path, registry, 1, "write: push")
    done = at_once([promoted(road, road.apps[0])] * 2)
    assert [each.code for each in done] == [0, 0], [each.error for each in done]
    # In the same second both make the very same commit, and both have pushed it.
    assert len({each.json["revision"] for each in done}) == 1
    assert len(road.server.messages("config")) == 2


@pytest.mark.parametrize("count", [FEW, pytest.param(30, marks=pytest.mark.full)])
@pytest.mark.parametrize("rule", ["write: push", REQUEST, f"{REQUEST}, merge: now"])
def test_many_apps_at_once_all_arrive(tmp_path: Path, registry: RegistryServer, count: int, rule: str) -> None:
    road = deployed(tmp_path, registry, count, rule)
    done = at_once([promoted(road, app) for app in road.apps])
    assert [each.code for each in done] == [0] * count, [str(each.error) for each in done if each.error]
    outcome = {"write: push": "pushed", REQUEST: "opened"}.get(rule, "merged")
    assert {each.json["outcome"] for each in done} == {outcome}
    for app in road.apps:
        branch = f"ci-gitops/production/{app}" if outcome == "opened" else "main"
        assert "sha256:" in road.read(app, branch=branch), app
        assert "sha256:" not in road.read(app, "staging")
    if outcome == "opened":
        assert len({each.json["mergeRequest"]["iid"] for each in done}) == count
