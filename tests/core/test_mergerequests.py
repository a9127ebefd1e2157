"""Which merge request holds what, and where a write goes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.mergerequest_text import Block, put_block
from ci_gitops.core.mergerequests import (
    MergeRequest,
    Open,
    Supersede,
    Update,
    Wait,
    Wanted,
    branch_name,
    overlaps,
    plan_merge_requests,
    segment,
    slug,
)
from ci_gitops.core.trailers import ImageMove, Trailers


@dataclass(frozen=True)
class Commit:
    sha: str
    author: str
    message: str


def holding(
    iid: int, *apps: str, environment: str = "production", source: str | None = None, target: str = "main"
) -> MergeRequest:
    moves = tuple(ImageMove(environment, app, "registry.example.com/web", "web:1", "web:2") for app in apps)
    text = put_block("Please look at this.", Block().updated(Trailers(moves)))
    return MergeRequest(iid, source or branch_name(environment, apps, {}), target, "title", text, head_sha="a" * 40)


def plan(
    requests: list[MergeRequest], *apps: str, supersede: Supersede = "latest", groups: dict[str, str] | None = None
):
    return plan_merge_requests(requests, [Wanted("production", "main", apps, groups or {}, supersede)])


def test_what_nobody_holds_goes_into_one_new_merge_request() -> None:
    (action,) = plan([], "shop", "cart")
    assert isinstance(action, Open)
    assert action.apps == ("shop", "cart")
    assert re.fullmatch(r"ci-gitops/production/batch-[0-9a-f]{12}", action.branch)


def test_a_held_target_is_written_where_it_is_held() -> None:
    requests = [holding(3, "shop"), holding(4, "cart", "blog")]
    shop, cart, fresh = plan(requests, "shop", "cart", "news")
    assert isinstance(shop, Update)
    assert (shop.request.iid, shop.apps, shop.rebuild) == (3, ("shop",), True)
    assert isinstance(cart, Update)
    assert (cart.request.iid, cart.apps, cart.rebuild) == (4, ("cart",), False)
    assert fresh == Open("production", "main", "ci-gitops/production/news", ("news",))


def test_one_without_its_branch_holds_nothing() -> None:
    lost = replace(holding(3, "shop"), head_sha="")
    (action,) = plan([lost], "shop")
    assert isinstance(action, Open)
    assert action.branch == lost.source
    assert overlaps([lost, holding(4, "shop", source="ci-gitops/production/batch-1")]) == ()


def test_another_environment_or_branch_or_a_person_holds_nothing_for_us() -> None:
    others = [
        holding(1, "shop", environment="staging"),
        holding(2, "shop", target="stable"),
        holding(3, "shop", source="alice/shop-by-hand"),
    ]
    (action,) = plan(others, "shop")
    assert isinstance(action, Open)


def test_the_apps_of_a_group_join_the_merge_request_of_their_group() -> None:
    groups = {"shop": "storefront", "cart": "storefront"}
    (first,) = plan([], "shop", groups=groups)
    assert isinstance(first, Open)
    assert first.branch == "ci-gitops/production/storefront"
    (second,) = plan([holding(7, "shop", source=first.branch)], "cart", groups=groups)
    assert isinstance(second, Update)
    assert (second.request.iid, second.apps, second.rebuild) == (7, ("cart",), False)


def test_queue_and_manual_leave_the_open_one_alone() -> None:
    (queued,) = plan([holding(3, "shop")], "shop", supersede="queue")
    assert isinstance(queued, Wait)
    assert "after that is merged" in queued.reason
    (manual,) = plan([holding(3, "shop")], "shop", supersede="manual")
    assert isinstance(manual, Wait)
    assert "left as it is" in manual.reason


def test_the_later_of_two_that_overlap_gives_way() -> None:
    first, both, third = holding(1, "shop"), holding(2, "shop", "cart"), holding(3, "cart")
    giving = overlaps([third, both, first])
    assert [(one.later.iid, one.earlier.iid, one.targets, one.remains) for one in giving] == [
        (2, 1, ("production/shop",), True),
        (3, 2, ("production/cart",), False),
    ]
    assert overlaps([first, third]) == ()
    assert overlaps([first, holding(4, "shop", target="stable")]) == ()


def test_slugs() -> None:
    assert slug(["shop"], {}) == "shop"
    assert slug(["shop", "cart"], {"shop": "g", "cart": "g"}) == "g"
    assert slug(["shop", "cart"], {"shop": "g"}) == slug(["cart", "shop"], {})
    assert branch_name("production", ["-rf"], {}).startswith("ci-gitops/production/rf-")


@given(st.text(min_size=1, max_size=120))
def test_any_name_gives_one_safe_path_segment(name: str) -> None:
    made = segment(name)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", made)
    assert ".." not in made
    assert not made.endswith((".lock", "."))


@given(st.lists(st.text("ab/.-~", min_size=1, max_size=4), min_size=2, max_size=2, unique=True))
def test_different_names_give_different_segments(names: list[str]) -> None:
    assert segment(names[0]) != segment(names[1])
