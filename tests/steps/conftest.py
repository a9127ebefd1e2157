"""What live plans share: a client of the real API server, and a target in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from tests.rig.cluster import Cluster
from tests.steps.planner import Planner


@pytest.fixture(scope="module")
def kubernetes(cluster: Cluster) -> Iterator[Kubernetes]:
    opened = Kubernetes(Access(None, str(cluster.kubeconfig)), None)
    yield opened
    opened.close()


@pytest.fixture
def planner(kubernetes: Kubernetes, namespace: str) -> Planner:
    return Planner(kubernetes, namespace)
