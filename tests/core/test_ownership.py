"""Whose a live object is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ci_gitops.core.inventory import Inventory, Key, Member, owner_labels
from ci_gitops.core.ownership import Holders, holding
from ci_gitops.core.targets import Target

OURS = Inventory(Target("shop", "staging", "."), "acme", "shop")
OTHER_APP = replace(OURS, target=Target("blog", "staging", "."))
OTHER_SOURCE = replace(OURS, source="others")
KEY = Key("", "ConfigMap", "shop", "a")


def live(labels: dict[str, str] | None = None, **annotations: str) -> dict[str, Any]:
    metadata = {"name": "a", "namespace": "shop", "uid": "1", "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


@pytest.mark.parametrize(
    ("found", "holder"),
    [
        (live(), "nobody"),
        (live({"app": "a"}), "nobody"),
        (live(owner_labels(OURS)), "ours"),
        (live(owner_labels(OTHER_APP)), "blog in staging"),
        (live(owner_labels(OTHER_SOURCE)), "shop in staging of another source"),
        (live(owner_labels(OTHER_SOURCE), **{"ci-gitops/source": "others"}), "shop in staging of others"),
        (live({"applyset.kubernetes.io/part-of": "applyset-x-v1"}), "the ApplySet applyset-x-v1"),
        (live({"applyset.kubernetes.io/part-of": OURS.applyset}), "nobody"),
    ],
)
def test_labels_say_it(found: dict[str, Any], holder: str) -> None:
    assert holding(found, OURS, Holders()) == holder


@pytest.mark.parametrize(("uid", "holder"), [("1", "blog in staging"), ("", "blog in staging"), ("2", "nobody")])
def test_where_labels_were_taken_off_inventories_say_it(uid: str, holder: str) -> None:
    others = Holders([replace(OTHER_APP, members=(Member(KEY, "v1", uid),))])
    assert holding(live(), OURS, others) == holder


def test_what_our_own_inventory_holds_is_ours() -> None:
    mine = replace(OURS, members=(Member(KEY, "v1", "1"),))
    assert holding(live(), mine, Holders([mine])) == "ours"
