"""What every forge must do, whichever it is: the promises at the top of `ci_gitops/adapters/forges/base.py`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ci_gitops import masking
from ci_gitops.adapters.forges.base import CommitStatus, Forge, MergeCall, NewMergeRequest
from ci_gitops.core.mergerequest_text import Block, put_block
from ci_gitops.core.trailers import ImageMove, Trailers
from ci_gitops.errors import ForgeError, RefusedError
from tests.contracts.forge_rigs import FORGE_RIGS, SLOWER_WAYS, ForgeRig
from tests.rig.git_server import GitServer

KUSTOMIZATION = "apps/shop/kustomization.yaml"
SOURCE = "ci-gitops/production/shop"


def _rigs(long: bool) -> list[object]:
    """All of them; with `long` those that only repeat another one's cases over a slower way are for the full run."""
    return [pytest.param(name, marks=pytest.mark.full) if long and name in SLOWER_WAYS else name for name in FORGE_RIGS]


@pytest.fixture(params=_rigs(long=True))
def rig(request: pytest.FixtureRequest, git_server: GitServer) -> Iterator[ForgeRig]:
    with FORGE_RIGS[request.param](git_server) as made:
        yield made


@pytest.fixture(params=_rigs(long=False))
def racing_rig(request: pytest.FixtureRequest, git_server: GitServer) -> Iterator[ForgeRig]:
    """For what goes wrong only between two conversations."""
    with FORGE_RIGS[request.param](git_server) as made:
        yield made


@pytest.fixture
def forge(rig: ForgeRig) -> Forge:
    return rig.forge()


def new(source: str = SOURCE, **more: object) -> NewMergeRequest:
    return NewMergeRequest(source, "main", "Update shop", "Text", labels=("promotion",), **more)  # type: ignore[arg-type]


def pushed(rig: ForgeRig, image: str = "web:2", branch: str = SOURCE, path: str = KUSTOMIZATION) -> str:
    return rig.branch(branch, {path: f"images: [{image}]\nreplicas: 1\n".encode()}, f"Update to {image}")


def test_who_am_i(rig: ForgeRig) -> None:
    assert rig.forge("alice").whoami().login == "alice"


def test_a_merge_request_is_opened_and_found(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    opened = forge.open(new(reviewers=("bob",), assignees=("carol",), draft=True))
    assert (opened.iid, opened.state, opened.head_sha, opened.draft) == (1, "open", head, True)
    assert (opened.labels, opened.reviewers, opened.assignees) == (("promotion",), ("bob",), ("carol",))
    assert opened.url
    assert opened.author == "robot"
    others = rig.forge("somebody")
    assert others.get(1) == opened
    assert others.find() == others.find(source=SOURCE, target="main") == (opened,)
    assert others.find(source="other") == others.find(target="other") == others.find(state="merged") == ()


def test_opening_again_adopts_the_open_one(rig: ForgeRig, forge: Forge) -> None:
    pushed(rig)
    first = forge.open(new())
    forge.update(first.iid, title="By a person")
    again = rig.forge("other").open(new())
    assert (again.iid, again.title, again.author) == (first.iid, "By a person", "robot")
    assert len(forge.find()) == 1


def test_without_a_branch_there_is_no_merge_request(forge: Forge) -> None:
    with pytest.raises(ForgeError, match="no branch 'ci-gitops/production/shop'"):
        forge.open(new())


def test_one_that_is_not_there_is_named(forge: Forge) -> None:
    with pytest.raises(ForgeError, match="no merge request !7"):
        forge.get(7)


def test_updates_change_what_they_name_and_nothing_else(rig: ForgeRig, forge: Forge) -> None:
    pushed(rig)
    iid = forge.open(new()).iid
    rig.forge("alice").update(iid, add_labels=("checked",), reviewers=("alice",))
    after = forge.update(
        iid, title="New", add_labels=("promotion", "urgent"), remove_labels=("absent",), reviewers=("bob",), draft=True
    )
    assert set(after.labels) == {"promotion", "checked", "urgent"}
    assert set(after.reviewers) == {"alice", "bob"}
    assert (after.title, after.description, after.draft) == ("New", "Text", True)
    last = forge.update(iid, remove_labels=("urgent",), draft=False)
    assert (set(last.labels), last.draft, last.title) == ({"promotion", "checked"}, False, "New")


def test_the_head_is_the_branch_s_own(rig: ForgeRig, forge: Forge) -> None:
    pushed(rig)
    iid = forge.open(new()).iid
    moved = pushed(rig, "web:3")
    assert forge.get(iid).head_sha == moved
    rig.git("update-ref", "-d", f"refs/heads/{SOURCE}")
    assert forge.get(iid).head_sha == ""


def test_a_comment_is_kept_current(rig: ForgeRig, forge: Forge) -> None:
    pushed(rig)
    iid = forge.open(new()).iid
    forge.comment(iid, "gates", "waiting")
    forge.comment(iid, "preview", "https://preview.example.com")
    rig.forge("other").comment(iid, "gates", "green")
    assert [(one.key, one.text) for one in forge.comments(iid)] == [
        ("gates", "green"),
        ("preview", "https://preview.example.com"),
    ]


def test_secrets_and_escapes_do_not_leave(rig: ForgeRig, forge: Forge) -> None:
    masking.register("hunter2-hunter2")
    pushed(rig)
    opened = forge.open(NewMergeRequest(SOURCE, "main", "T hunter2-hunter2\x1b[31m", "D hunter2-hunter2"))
    forge.comment(opened.iid, "k", "C hunter2-hunter2\x1b]0;x\x07")
    opened = forge.update(opened.iid, description="E hunter2-hunter2")
    assert (opened.title, opened.description) == ("T [masked]", "E [masked]")
    assert forge.comments(opened.iid)[0].text == "C [masked]"


def test_approvals_are_for_one_head(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    iid = forge.open(new()).iid
    rig.approve("alice", iid, head)
    rig.approve("bob", iid, head)
    assert {(one.user, one.sha) for one in forge.approvals(iid)} == {("alice", head), ("bob", head)}
    moved = pushed(rig, "web:3")
    assert all(one.sha != moved for one in forge.approvals(iid))


def test_who_pushed_a_branch_is_told_where_it_is_known(rig: ForgeRig, forge: Forge) -> None:
    first = pushed(rig)
    request = forge.open(new())
    assert forge.get(request.iid).head_sha == first
    second = pushed(rig, "web:3")
    rig.pushed_by("alice", second)
    assert forge.get(request.iid).head_sha == second
    told = [(push.user, push.after) for push in forge.pushes(request)]
    assert told == ([("alice", second), ("robot", first)] if forge.has_accounts else [])
    assert [push.before for push in forge.pushes(request)][:1] == ([first] if forge.has_accounts else [])


def test_nobody_approves_for_people_who_have_accounts(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    iid = forge.open(new()).iid
    moved = pushed(rig, "web:3")
    with pytest.raises(RefusedError, match="no longer at" if forge.kind == "local" else "people"):
        forge.approve(iid, head if forge.kind == "local" else moved)


def test_statuses_are_kept_by_name(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    assert forge.checks(head).statuses == ()
    forge.set_status(head, CommitStatus("scan", "running"), ref=SOURCE)
    forge.set_status(head, CommitStatus("scan", "failed", "2 findings"), ref=SOURCE)
    forge.set_status(head, CommitStatus("scan", "failed", "2 findings"), ref=SOURCE)
    rig.forge("other").set_status(head, CommitStatus("ci-gitops/gates", "success"), ref=SOURCE)
    found = {status.name: (status.state, status.description) for status in forge.checks(head).statuses}
    assert found == {"scan": ("failed", "2 findings"), "ci-gitops/gates": ("success", "")}


def test_deployments_are_recorded(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    first = forge.record_deployment("production", head, "main", "running", url="https://shop.example.com")
    assert (first.state, first.finished_at) == ("running", 0)
    done = rig.forge("other").record_deployment("production", head, "main", "success", number=first.number)
    assert done.finished_at
    forge.record_deployment("production", head, "main", "failed")
    forge.record_deployment("staging/eu 1", head, "main", "running")
    newest, oldest = forge.deployments("production")
    assert (newest.state, oldest.state, oldest.number) == ("failed", "success", first.number)
    assert (oldest.sha, oldest.url) == (head, "https://shop.example.com")
    assert len(forge.deployments("staging/eu 1")) == 1
    assert forge.deployments("nowhere") == ()


def test_closing_as_superseded_links_to_the_successor(rig: ForgeRig, forge: Forge) -> None:
    pushed(rig)
    pushed(rig, branch="ci-gitops/production/batch-1")
    first, second = forge.open(new()), forge.open(new("ci-gitops/production/batch-1"))
    assert (first.iid, second.iid) == (1, 2)
    closed = forge.close(2, superseded_by=1)
    assert (closed.state, closed.superseded_by) == ("closed", 1)
    assert forge.comments(2)[0].text == f"Superseded by {'#' if forge.kind == 'github' else '!'}1."
    assert forge.close(2).superseded_by == 1
    assert [one.iid for one in forge.find()] == [1]
    assert [one.iid for one in forge.find(state="closed")] == [2]
    assert forge.merge(2, MergeCall(second.head_sha)).state == "blocked"
    assert forge.open(new("ci-gitops/production/batch-1")).iid == 3


def test_a_merge_commit(racing_rig: ForgeRig) -> None:
    rig = racing_rig
    forge = rig.forge()
    head = pushed(rig)
    other = rig.branch("main", {"README.md": b"# Others\n"})
    iid = forge.open(new()).iid
    outcome = forge.merge(iid, MergeCall(head, "merge", "Merge it\n\nCi-Gitops-Actor: ci\n"))
    assert outcome.state == "merged"
    assert outcome.request.merge_sha == rig.server.head("config")
    assert rig.git("log", "-1", "--format=%P", "main").split() == [other, head]
    assert rig.server.messages("config")[0] == "Merge it\n\nCi-Gitops-Actor: ci"
    assert rig.server.read("config", KUSTOMIZATION).startswith(b"images: [web:2]")
    assert rig.server.read("config", "README.md") == b"# Others\n"
    assert rig.server.head("config", SOURCE) is None
    after = rig.forge("other").get(iid)
    assert (after.state, after.head_sha, after.merge_sha) == ("merged", head, outcome.request.merge_sha)
    assert after.merged_at
    assert forge.find(state="merged") == (after,)


def test_a_squash(rig: ForgeRig, forge: Forge) -> None:
    pushed(rig)
    head = pushed(rig, "web:3")
    other = rig.branch("main", {"README.md": b"# Others\n"})
    rig.settings(removeSourceBranch=not rig.deletes_by_itself)
    iid = forge.open(new()).iid
    outcome = forge.merge(iid, MergeCall(head, "squash", "One commit", remove_source_branch=False))
    assert outcome.state == "merged"
    assert outcome.request.merge_sha == rig.server.head("config")
    new_ones = rig.git("log", "--no-merges", "--format=%s", f"{other}..main").splitlines()
    assert new_ones == ["One commit"]
    assert rig.server.read("config", KUSTOMIZATION).startswith(b"images: [web:3]")
    assert rig.server.head("config", SOURCE) == head


def test_the_project_s_settings_rule_where_the_call_is_silent(rig: ForgeRig, forge: Forge) -> None:
    rig.settings(mergeMethod="fast-forward", removeSourceBranch=False)
    assert forge.project().merge_method == "fast-forward"
    assert forge.project().default_branch == "main"
    head = pushed(rig)
    outcome = forge.merge(forge.open(new()).iid, MergeCall(head))
    landed = rig.server.head("config")
    assert (outcome.state, outcome.request.merge_sha) == ("merged", landed)
    assert landed == head or rig.rebases
    assert rig.git("rev-parse", "main:") == rig.git("rev-parse", f"{head}:")
    assert rig.server.head("config", SOURCE) == head


def test_a_merge_request_s_own_settings_come_before_the_project_s(rig: ForgeRig, forge: Forge) -> None:
    rig.settings(squash=False, removeSourceBranch=not rig.deletes_by_itself)
    head = pushed(rig)
    base = rig.branch("main", {"README.md": b"# Others\n"})
    iid = forge.open(new(squash=True, remove_source_branch=False)).iid
    assert forge.merge(iid, MergeCall(head)).state == "merged"
    assert head not in rig.git("log", "--format=%H", f"{base}..main").splitlines()
    assert rig.server.head("config", SOURCE) == head


def test_fast_forward_only_needs_a_rebase_where_main_moved(rig: ForgeRig, forge: Forge) -> None:
    rig.settings(mergeMethod="fast-forward")
    head = pushed(rig)
    before = rig.branch("main", {"README.md": b"# Others\n"})
    outcome = forge.merge(forge.open(new()).iid, MergeCall(head))
    if rig.rebases:
        assert outcome.state == "merged"
        assert rig.git("log", "-1", "--format=%P %s", "main") == f"{before} Update to web:2"
        return
    assert outcome.state == "blocked"
    assert "rebase" in outcome.reason
    assert rig.server.head("config") == before


def test_only_the_guarded_head_is_merged(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    iid = forge.open(new()).iid
    moved = pushed(rig, "web:evil")
    before = rig.server.head("config")
    outcome = forge.merge(iid, MergeCall(head))
    assert outcome.state == "blocked"
    assert "moved" in outcome.reason
    assert outcome.request.head_sha == moved
    assert rig.server.head("config") == before


def test_a_conflict_names_the_paths_and_changes_nothing(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    before = pushed(rig, "web:hotfix", branch="main")
    iid = forge.open(new()).iid
    outcome = forge.merge(iid, MergeCall(head))
    assert (outcome.state, outcome.conflicts) == ("blocked", (KUSTOMIZATION,))
    assert KUSTOMIZATION in outcome.reason
    assert rig.server.head("config") == before
    assert forge.get(iid).state == "open"


def test_a_draft_or_a_lost_branch_is_not_merged(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    iid = forge.open(new(draft=True)).iid
    assert "draft" in forge.merge(iid, MergeCall(head)).reason
    rig.git("update-ref", "-d", f"refs/heads/{SOURCE}")
    assert "does not exist" in forge.merge(iid, MergeCall(head)).reason


def test_merging_again_finds_it_merged(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    iid = forge.open(new()).iid
    first = forge.merge(iid, MergeCall(head))
    again = rig.forge("other").merge(iid, MergeCall(head))
    assert again.state == "merged"
    assert again.request.merge_sha == first.request.merge_sha
    assert len(rig.server.messages("config")) == 3


def test_what_a_person_merged_by_git_is_merged(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    iid = forge.open(new()).iid
    rig.git("update-ref", "refs/heads/main", head)
    assert forge.merge(iid, MergeCall(head)).state == "merged"
    assert rig.server.head("config") == head


def test_the_target_may_move_at_the_last_moment(racing_rig: ForgeRig) -> None:
    rig = racing_rig
    forge = rig.forge()
    head = pushed(rig)
    iid = forge.open(new()).iid
    rig.before_merge(lambda: rig.branch("main", {"README.md": b"# Just now\n"}))
    assert forge.merge(iid, MergeCall(head)).state == "merged"
    assert rig.server.read("config", KUSTOMIZATION).startswith(b"images: [web:2]")
    assert rig.server.read("config", "README.md") == b"# Just now\n"
    assert len(rig.forge().find(state="merged")) == 1


def test_auto_merge_is_armed_for_one_head(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    iid = forge.open(new()).iid
    rig.busy(head)
    outcome = forge.arm(iid, MergeCall(head))
    assert (outcome.state, outcome.request.armed_sha) == ("armed", head)
    assert rig.forge("other").get(iid).armed_sha == head
    pushed(rig, "web:3")
    assert forge.get(iid).armed_sha == ""
    assert forge.arm(iid, MergeCall(head)).state == "blocked"


def test_auto_merge_is_taken_back(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    iid = forge.open(new()).iid
    rig.busy(head)
    forge.arm(iid, MergeCall(head))
    assert forge.disarm(iid).armed_sha == ""
    assert rig.forge("other").get(iid).armed_sha == ""
    assert forge.disarm(iid).state == "open"


def test_a_name_stands_for_people(forge: Forge) -> None:
    assert forge.people("alice") == ("alice",)
    assert not forge.freezes()


def test_what_it_cannot_do_it_refuses(rig: ForgeRig, forge: Forge) -> None:
    head = pushed(rig)
    iid = forge.open(new()).iid
    if not forge.project().trains:
        with pytest.raises(RefusedError, match="merge trains"):
            forge.join_train(iid, MergeCall(head))


def test_a_block_survives_the_forge(rig: ForgeRig, forge: Forge) -> None:
    pushed(rig)
    block = Block().updated(Trailers((ImageMove("production", "shop", "web", "web:1", "web:2"),)))
    forge.open(NewMergeRequest(SOURCE, "main", "T", put_block("", block)))
    assert rig.forge("other").find()[0].targets == {"production/shop"}
    assert rig.forge("other").find()[0].block == block


def test_many_at_once_open_one_and_lose_no_comment(racing_rig: ForgeRig) -> None:
    rig = racing_rig
    pushed(rig)
    forges = [rig.forge(f"robot{number}") for number in range(6)]

    def work(number: int) -> int:
        forge = forges[number]
        iid = forge.open(new()).iid
        forge.update(iid, add_labels=(f"label{number}",))
        forge.comment(iid, f"key{number}", "text")
        return iid

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == [1] * 6
    request = rig.forge().get(1)
    assert set(request.labels) == {"promotion", *(f"label{number}" for number in range(6))}
    assert {one.key for one in rig.forge().comments(1)} == {f"key{number}" for number in range(6)}


def test_many_merge_at_once_and_none_is_lost(racing_rig: ForgeRig) -> None:
    rig = racing_rig
    names = [f"app{number}" for number in range(5)]
    heads = {
        name: pushed(rig, branch=f"ci-gitops/production/{name}", path=f"apps/{name}/kustomization.yaml")
        for name in names
    }
    forges = {name: rig.forge(name) for name in names}

    def work(name: str) -> str:
        forge = forges[name]
        iid = forge.open(new(f"ci-gitops/production/{name}")).iid
        return forge.merge(iid, MergeCall(heads[name])).state

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(work, names)) == ["merged"] * 5
    for name in names:
        assert rig.server.read("config", f"apps/{name}/kustomization.yaml")
    assert sorted(one.iid for one in rig.forge().find(state="merged")) == [1, 2, 3, 4, 5]
