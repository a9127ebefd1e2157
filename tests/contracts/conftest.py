"""The clusters that the contract suite runs on, and a namespace of each test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.cluster_rigs import CLUSTER_RIGS, ClusterRig, Place, clear
from tests.rig.parts import missing


@pytest.fixture(params=CLUSTER_RIGS, scope="session")
def cluster_rig(request: pytest.FixtureRequest) -> Iterator[ClusterRig]:
    rig = CLUSTER_RIGS[request.param](request)
    yield rig
    clear(rig)
    rig.close()


@pytest.fixture
def place(cluster_rig: ClusterRig) -> Iterator[Place]:
    made = Place(cluster_rig)
    yield made
    made.close()


@pytest.fixture
def tended(place: Place) -> Place:
    """A place where controllers take away what is to go."""
    if not place.rig.tended:
        missing("a controller manager", "set KUBECONFIG, or put kube-controller-manager beside kube-apiserver")
    return place
