"""The rules against false drift hold on the simulated cluster too."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops.adapters.cluster.simulated import Simulated
from tests.steps.planner import Planner, changes
from tests.steps.test_drift_rules import QUIET, is_quiet


@pytest.mark.parametrize("rule", QUIET)
def test_what_is_there_plans_nothing_twice_in_a_row(tmp_path: Path, rule: str) -> None:
    cluster = Simulated(tmp_path / "cluster.json", "shop")
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    planner = Planner(cluster, "shop")
    planner.deploy(QUIET[rule])
    for _ in range(2):
        assert is_quiet(planner, QUIET[rule]), changes(planner.plan(QUIET[rule]))
        assert not planner.deploy(QUIET[rule]).work
