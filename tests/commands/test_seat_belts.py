"""The seat belts of prune on a real API server: nothing goes by mistake, and nothing of others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.commands.test_deploy import commit, git
from tests.commands.test_status import Place, config_map, make  # noqa: F401 - a fixture

_NAMES = ("one", "two", "three", "four")


@pytest.fixture
def place(make: Callable[[str, str], Place], namespace: str) -> Place:  # noqa: F811 - the fixture
    made = make("acme", namespace)
    commit(made.checkout, {f"environments/staging/blog/{name}.yaml": config_map(name) for name in _NAMES})
    made.deploy()
    return made


def names(place: Place) -> set[str]:
    listed = place.kubectl("get", "configmaps", "-l", "applyset.kubernetes.io/part-of", "-o", "name")
    return {line.removeprefix("configmap/") for line in listed.split()}


def test_a_mass_deletion_writes_nothing_at_all(place: Place) -> None:
    git(place.checkout, "rm", "-q", *(f"environments/staging/blog/{name}.yaml" for name in _NAMES[:3]))
    commit(place.checkout, {"environments/staging/shop/settings.yaml": config_map("settings", "wild")})
    ran = place.deploy("--prune", code=5)
    assert "blog in staging: 3 of its 4 objects would be deleted (75 %, the limit is 50 %)" in ran.err
    assert "prune would take too much of blog" in ran.out
    assert place.kubectl("get", "configmap", "settings", "-o", "jsonpath={.data.mode}") == "calm"
    assert names(place) == {"settings", *_NAMES}
    place.deploy("--prune", "--prune-limit", "75%")
    assert names(place) == {"settings", "four"}


def test_nothing_goes_where_another_target_does_not_render(place: Place) -> None:
    git(place.checkout, "rm", "-q", "environments/staging/blog/one.yaml")
    commit(place.checkout, {"environments/staging/shop/broken.yaml": "kind: Nameless\n"})
    ran = place.deploy("--prune", code=1)
    assert "It stays, since not everything is known: shop in staging does not render." in ran.out
    assert names(place) == {"settings", *_NAMES}
    git(place.checkout, "rm", "-q", "environments/staging/shop/broken.yaml")
    commit(place.checkout, {})
    place.deploy("--prune")
    assert names(place) == {"settings", "two", "three", "four"}


def test_an_app_that_left_git(place: Place) -> None:
    git(place.checkout, "rm", "-rq", "environments/staging/blog")
    commit(place.checkout, {})
    place.deploy()
    assert names(place) == {"settings", *_NAMES}
    place.deploy("--prune", code=5)
    place.deploy("--prune", "--prune-limit", "100%")
    assert names(place) == {"settings"}
    assert [each["target"]["app"] for each in place.items("status", "--environment", "staging")] == ["shop"]
