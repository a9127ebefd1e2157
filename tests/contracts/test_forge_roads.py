"""What a team relies on, on every forge alike, through the command line: whose rules count, what green is, races."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contracts.forge_roads import BRANCH, FILES, ROADS, GitHubRoad, GitLabRoad, Road, config
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer

SHOP = "apps/shop/production/kustomization.yaml"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test on one forge, the next one on the next; on all of them in the full tests."""
    chosen = [*ROADS][sum(map(ord, metafunc.function.__name__)) % len(ROADS)]
    marks = {name: () if name == chosen else pytest.mark.full for name in ROADS}
    metafunc.parametrize("road", [pytest.param(name, marks=marks[name]) for name in ROADS], indirect=True)


@pytest.fixture
def road(request: pytest.FixtureRequest, git_server: GitServer, cli: Cli, tmp_path: Path) -> Iterator[Road]:
    made = ROADS[request.param](git_server, cli, tmp_path)
    yield made
    made.close()


def waits(ran: Ran) -> dict[str, str]:
    """Gate and reason of what was not merged."""
    assert ran.code == 0, ran.err
    assert ran.json["merged"] == []
    return {one["gate"]: one["reason"] for one in ran.json["waiting"]}


def merged(ran: Ran) -> list[int]:
    assert ran.code == 0, ran.err
    return [one["mr"] for one in ran.json["merged"]]


def opened(road: Road, tag: str = "2") -> str:
    """The head of a merge request that is open."""
    ran = road.update(tag)
    assert ran.code == 0, ran.err
    return road.head()


# Whose rules count


def test_one_that_edits_its_own_gates_changes_nothing_for_itself_and_is_told(road: Road) -> None:
    opened(road)
    road.push({".ci-gitops.yaml": config("merge: now")}, BRANCH)
    ran = road.merge()
    assert waits(ran)["approvals"] == "0 of 1 approval"
    assert ".ci-gitops.yaml" in ran.out + ran.err
    road.rig.approve("alice", 1, road.head())
    assert waits(road.merge())["manual"].startswith("merge: manual; name it")  # staging's rules are in that file too
    assert merged(road.merge("--mr", 1)) == [1]
    assert road.tag() == "2"


# What green is


def test_without_ci_nothing_is_waited_for(road: Road) -> None:
    road.configure("")
    opened(road)
    assert merged(road.merge()) == [1]


def test_with_ci_it_is_waited_for_and_must_pass(road: Road) -> None:
    road.configure("")
    road.with_ci()
    opened(road)
    if road.kind != "local":
        assert "no pipeline, status or check is there yet" in waits(road.merge())["ci"]
    for state in ("running", "failed"):
        road.ran(state)
        assert state in waits(road.merge())["ci"]
    road.ran("success")
    assert merged(road.merge()) == [1]


# People in between


def test_a_person_s_squash_between_two_updates_loses_no_order(road: Road) -> None:
    assert road.by_pipeline("7", 7).code == 0
    road.squash()
    assert road.tag() == "7"
    older = road.by_pipeline("6", 6)
    assert older.code == 0, older.err
    assert older.json["outcome"] == "unchanged"
    assert "pipeline 7 (this is 6)" in older.json["notes"][0]
    assert road.open == ()
    newer = road.by_pipeline("8", 8)
    assert (newer.json["outcome"], newer.json["mergeRequest"]["iid"]) == ("opened", 2), newer.err


def test_somebody_s_label_stays_and_ours_are_added(road: Road) -> None:
    road.configure("labels: [promotion]")
    opened(road)
    road.people.update(1, add_labels=("checked",), remove_labels=("promotion",))
    assert road.update("3").json["outcome"] == "updated"
    assert set(road.people.get(1).labels) == {"checked", "promotion"}


# A branch per environment


def test_an_environment_may_have_a_branch_of_its_own(road: Road) -> None:
    road.configure("repository: {branch: live}")
    road.push({SHOP: FILES[SHOP]}, "live", "A branch per environment")
    opened(road)
    (request,) = road.open
    assert request.target == "live"
    assert merged(road.merge()) == [1]
    assert (road.tag("live"), road.tag()) == ("2", "1")
    assert road.update("2").json["outcome"] == "unchanged"


# Races


def test_a_head_that_moves_between_gate_and_merge_is_judged_again(road: Road) -> None:
    head = opened(road)
    road.rig.approve("alice", 1, head)
    road.before_merge(lambda: road.push({SHOP: FILES[SHOP].replace(b"1", b"evil")}, BRANCH))
    assert waits(road.merge())["approvals"] == "0 of 1 approval; 1 approval of an older head"
    assert road.tag() == "1"


def test_a_target_that_moves_in_between_is_merged_with_both(road: Road) -> None:
    road.configure("")
    opened(road)
    road.before_merge(lambda: road.push({"README.md": b"# Just now\n"}))
    assert merged(road.merge()) == [1]
    assert road.tag() == "2"
    assert road.server.read(road.name, "README.md") == b"# Just now\n"


def test_a_branch_that_is_deleted_in_between_is_not_merged(road: Road) -> None:
    road.configure("")
    opened(road)
    road.before_merge(lambda: road.rig.git("update-ref", "-d", f"refs/heads/{BRANCH}"))
    ran = road.merge()
    assert ran.code in (0, 5), ran.err
    assert ran.json["merged"] == []
    assert "does not exist any more" in ran.out
    assert road.tag() == "1"


def test_an_approval_that_is_withdrawn_counts_no_more(road: Road) -> None:
    road.configure("gates: {approvals: 2}")
    head = opened(road)
    for person in ("alice", "carol"):
        road.rig.approve(person, 1, head)
    road.rig.withdraw("alice", 1)
    assert waits(road.merge())["approvals"] == "1 of 2 approvals (carol)"
    road.rig.approve("alice", 1, head)
    assert merged(road.merge()) == [1]


def test_two_updates_of_one_app_at_once_make_one_merge_request(road: Road) -> None:
    words = ("-o", "json", "update", "--environment", "production", "--app", "shop", "--repo", road.url)
    with ThreadPoolExecutor(2) as pool:
        ran = [*pool.map(lambda tag: road.cli(*words, f"web:{tag}", env=road.env), ("2", "3"))]
    assert [one.code for one in ran] == [0, 0], [one.err for one in ran]
    (request,) = road.open
    tag = road.tag(BRANCH)
    assert tag in ("2", "3")
    assert request.title.endswith(f"to {tag}")
    assert {move.new for move in request.block.moves} == {f"web:{tag}"} if request.block else False


# How the forge merges


def trains(road: Road) -> None:
    if isinstance(road, GitLabRoad):
        road.gitlab.rules.trains = True
    elif isinstance(road, GitHubRoad):
        road.github.rules.queue = True


def test_a_train_is_taken_where_the_branch_has_one(road: Road) -> None:
    """Merged past it, what waits in it would be tested again."""
    road.configure("")
    opened(road)
    trains(road)
    ran = road.merge()
    if road.kind == "local":
        assert merged(ran) == [1]
        return
    assert "train" in waits(ran)["merge"] or "queue" in waits(ran)["merge"]
    assert waits(road.merge()), "asked again it stays on it"
    if isinstance(road, GitLabRoad):
        road.gitlab.merging.go_on()
    elif isinstance(road, GitHubRoad):
        road.github.settle()
    assert merged(road.merge("--mr", 1)) == [1]
    assert road.tag() == "2"


def test_what_the_forge_itself_still_waits_for_is_left_to_its_auto_merge(road: Road) -> None:
    """Our gates hold, the direct merge is turned away: it is armed, not tried in a circle."""
    road.configure("")
    head = opened(road)
    if isinstance(road, GitLabRoad):
        road.gitlab.pipeline(head, "success")
        road.gitlab.rules.approvals = 1
        road.gitlab.state.pipelines[-1].source = "external"
        road.gitlab.pipeline(head, "success")
        road.gitlab.rules.pipelines_must_succeed = True
    elif isinstance(road, GitHubRoad):
        road.github.rules.statuses.append("ci-gitops/gates")
        road.github.rules.approvals = 1
    ran = road.merge()
    if road.kind == "local":
        assert merged(ran) == [1]
        return
    waits(ran)
    road.rig.approve("alice", 1, head)
    if isinstance(road, GitHubRoad):
        road.github.settle()
    assert road.people.get(1).state == "merged" or merged(road.merge()) == [1]
    assert road.tag() == "2"


# A plan that people agree to


def test_a_plan_is_noted_once_and_deployed_as_it_was_noted(road: Road, tmp_path: Path) -> None:
    plain = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n"
    road.push({SHOP: b"resources: [settings.yaml]\n" + FILES[SHOP], "apps/shop/production/settings.yaml": plain})
    road.configure("destination: {to: 'simulated:live.json', namespace: live}, createNamespace: true")
    road.push({SHOP: b"resources: [settings.yaml]\n" + FILES[SHOP]})
    head = opened(road)
    place = ("--environment", "production", "--app", "shop", "--repo", road.url)
    for _ in range(2):
        noted = road("diff", *place, "--revision", head, "--mr", 1, "--note")
        assert noted.code == 0, noted.err
    notes = [one for one in road.people.comments(1) if one.key.startswith("plan")]
    assert len(notes) == 1
    assert "ConfigMap" in notes[0].text
    assert merged(road.merge()) == [1]
    done = road("deploy", *place, "--plan", "merge-request")
    assert done.code == 0, done.err
    assert done.json["outcome"] == "succeeded"
    road.push({"apps/shop/production/settings.yaml": plain + b"data: {a: b}\n"})
    assert road("deploy", *place, "--plan", "merge-request").code == 5
