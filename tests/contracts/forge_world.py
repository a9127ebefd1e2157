"""A config repository on a forge with us, another run of us, and people: what each may do, and what must stay true.

What we do runs the steps of `update` and `merge` in this process; what people do is done by the forge's own means or
by plain Git. The world keeps book of what was promised, and looks at the branches alone to see whether it was kept.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ci_gitops.adapters.forges.base import CommitStatus, MergeCall, NewMergeRequest
from ci_gitops.adapters.git import Person
from ci_gitops.core.images import ImageArgument
from ci_gitops.core.intents import Intent
from ci_gitops.core.mergerequest_text import Block, put_block
from ci_gitops.core.mergerequests import MergeMethod, MergeRequest
from ci_gitops.core.messages import commit_message
from ci_gitops.core.trailers import ImageMove, Source, Trailers
from ci_gitops.errors import ForgeError, RefusedError, TemporaryError
from ci_gitops.run import Run
from ci_gitops.steps import merge as merge_story
from ci_gitops.steps.merge_request import RequestWriter
from ci_gitops.steps.merging import Patience, policy_of
from ci_gitops.steps.targets import targets_of
from ci_gitops.steps.workplace import Reach, Workplaces
from ci_gitops.steps.write import Hand, Written
from tests.contracts.forge_rigs import ForgeRig
from tests.rig.git_server import run_git

APPS = ("shop", "cart", "pay")
ENVIRONMENTS = ("staging", "production", "queued")
APPROVALS = {"staging": 0, "production": 1, "queued": 0}
CONFIG = """\
version: 1
apps:
  shop: {path: "apps/shop/{environment}"}
  cart: {path: "apps/cart/{environment}", group: till}
  pay: {path: "apps/pay/{environment}", group: till}
environments:
  staging: {write: merge-request, merge: when-green}
  production: {write: merge-request, gates: {approvals: 1}, labels: [promotion]}
  queued: {write: merge-request, supersede: queue}
"""
OURS = Person("robot", "robot@example.com")
PROJECT = "group/shop"


def path_of(target: str) -> str:
    environment, app = target.split("/")
    return f"apps/{app}/{environment}/kustomization.yaml"


def overlay(tag: str, more: str = "") -> bytes:
    return f"# kept\n{more}images:\n- name: web\n  newTag: '{tag}'\n".encode()


TARGETS = tuple(f"{environment}/{app}" for environment in ENVIRONMENTS for app in APPS)
LAYOUT = {".ci-gitops.yaml": CONFIG.encode(), **{path_of(target): overlay("v0") for target in TARGETS}}


@dataclass(frozen=True)
class Hold:
    environment: str
    app: str | None
    tag: str | None  # None: all of it

    def bars(self, target: str, tag: str) -> bool:
        environment, app = target.split("/")
        return self.environment == environment and self.app in (None, app) and self.tag in (None, tag)

    @property
    def line(self) -> str:
        image = f"web:{self.tag}" if self.tag else ""
        said = [("app", self.app), ("image", image), ("reason", "it is bad"), ("by", "alice")]
        return "- {" + ", ".join(f"{name}: {value}" for name, value in said if value) + "}\n"


@dataclass
class World:
    rig: ForgeRig
    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)
    number: int = 0  # of pipelines, tags, branches
    promised: dict[str, tuple[str, int]] = field(default_factory=dict)  # target -> tag and pipeline, the newest
    work: dict[str, list[str]] = field(default_factory=dict)  # branch -> people's commits on it
    holds: set[Hold] = field(default_factory=set)
    approved: set[tuple[int, str]] = field(default_factory=set)  # merge request and head that alice approved
    red: set[str] = field(default_factory=set)  # heads with a failed status
    trees: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rig.branch("main", LAYOUT, "Layout")
        self.stack.enter_context(self.rig)
        run = Run({"HOME": str(self.folder)}, self.folder)
        self.run = run
        self.bare = str(self.rig.server.bare("config"))
        self.places = self.stack.enter_context(Workplaces(run, Reach(self.bare, "main")))
        self.forge = self.rig.forge()
        self.people = self.rig.forge("bob")

    def close(self) -> None:
        self.stack.close()

    # What is there

    def head(self, branch: str = "main") -> str | None:
        return self.rig.server.head("config", branch)

    def tags(self, revision: str) -> Mapping[str, str]:
        """The tag of each target at a commit."""
        if revision not in self.trees:
            asked = "".join(f"{revision}:{path_of(target)}\n" for target in TARGETS)
            said = run_git("--git-dir", self.bare, "cat-file", "--batch=%(objectname)", stdin=asked.encode())
            found = re.findall(r"newTag: (\S+)", said)
            self.trees[revision] = dict(zip(TARGETS, (tag.strip("'\"") for tag in found), strict=True))
        return self.trees[revision]

    @property
    def main(self) -> Mapping[str, str]:
        head = self.head()
        assert head
        return self.tags(head)

    @property
    def open(self) -> list[MergeRequest]:
        """Ours that hold something."""
        return [one for one in self.people.find(target="main") if one.head_sha and one.targets]

    def holds_commit(self, commit: str, ancestor: str) -> bool:
        return run_git("--git-dir", self.bare, "merge-base", commit, ancestor).strip() == ancestor

    # What we do

    def write(self, environment: str, apps: Sequence[str], *, late: bool = False) -> None:
        """One `update` of these apps; `late` by a pipeline that is older than what was last promised."""
        self.number += 1
        pipeline = 0 if late else self.number
        tag = f"v{self.number}"
        before = self.main
        hand = Hand(OURS, source=Source(PROJECT, "c" * 40, pipeline), sleep=lambda _: None, now="2026-11-21T10:00:00Z")
        root = self.places.root()
        place = self.places.of(root.settings.environment(environment), root)
        settings = place.settings.environment(environment)
        writer = RequestWriter(self.places, self.rig.forge(), settings, policy_of(settings), Patience(), hand)
        intent = Intent((ImageArgument.parse(f"web:{tag}"),))
        try:
            written = writer.write(place, targets_of(place, environment, apps), intent)
        except (RefusedError, TemporaryError):
            written = []
        else:
            self.keeps_one_open(environment)
        self.moved_nothing_held(before)
        for one in written:
            self.promise(one, pipeline)

    def promise(self, written: Written, pipeline: int) -> None:
        if written.outcome not in ("opened", "updated", "merged", "armed"):
            return
        for move in written.plan.images:
            tag = move.new.rpartition(":")[2]
            known = self.promised.get(move.target)
            assert known is None or known[1] <= pipeline, f"pipeline {pipeline} overwrote {known} of {move.target}"
            self.promised[move.target] = (tag, pipeline)

    def merge(self, *environments: str, override: bool = False) -> None:
        before, requests = self.main, {one.iid: one for one in self.open}
        ask = merge_story.MergeAsk(
            environments=environments, repo=self.bare, branch="main", forge="local",
            overrides=("approvals",) if override else (), reason="it is urgent" if override else None,
        )  # fmt: skip
        with contextlib.suppress(RefusedError, TemporaryError, ForgeError):
            merge_story.merge(self.run, ask)
        for request in requests.values():
            after = self.people.get(request.iid)
            if after.state == "merged":
                self.was_green(after, override)
                self.forget(request.source)
        self.moved_nothing_held(before)

    def another_run(self, environment: str, apps: Sequence[str], *, late: bool) -> None:
        """Another run of ours that saw nothing of the open ones has opened one of its own.

        A `late` one saw the target branch all the same: what a newer build has brought there it leaves alone.
        """
        targets = [f"{environment}/{app}" for app in apps]
        if late:
            main = self.main
            waiting = {one for one, (tag, _) in self.promised.items() if main[one] != tag}
            targets = [one for one in targets if one in waiting or main[one] == "v0"]
            apps = [one.split("/")[1] for one in targets]
        if not targets:
            return
        if any(hold.bars(target, "") for hold in self.holds for target in targets):
            return
        self.number += 1
        newest = max((self.promised.get(target, ("", 0))[1] for target in targets), default=0)
        pipeline = min(self.number - 1, newest) - 1 if late else self.number
        tag, main = f"v{self.number}", self.main
        moves = tuple(
            ImageMove(environment, app, "web", f"web:{main[f'{environment}/{app}']}", f"web:{tag}") for app in apps
        )
        trailers = Trailers(moves, source=Source(PROJECT, "d" * 40, pipeline))
        branch = f"ci-gitops/{environment}/batch-{self.number}"
        files = {path_of(target): self.edited("main", target, tag) for target in targets}
        self.rig.branch(branch, files, commit_message(None, trailers))
        self.rig.forge("other").open(NewMergeRequest(branch, "main", "Another", put_block("", Block((trailers,)))))
        for target in targets:
            if pipeline > self.promised.get(target, ("", 0))[1]:
                self.promised[target] = (tag, pipeline)

    # What people do

    def edited(self, branch: str, target: str, tag: str) -> bytes:
        text = self.rig.server.read("config", path_of(target), branch)
        return re.sub(rb"newTag: \S+", f"newTag: '{tag}'".encode(), text)

    def person_commits(self, request: MergeRequest, files: Mapping[str, bytes]) -> None:
        sha = self.rig.branch(request.source, files, "By hand")
        self.work.setdefault(request.source, []).append(sha)
        self.excuse(one for one in request.targets if path_of(one) in files)

    def person_forges(self, request: MergeRequest, more: bytes) -> None:
        """A person's commit that says of itself what ours say, and changes more than that."""
        target = min(request.targets)
        environment, app = target.split("/")
        move = ImageMove(environment, app, "web", None, "web:forged")
        text = self.edited(request.source, target, "forged") + more
        message = commit_message(None, Trailers((move,), source=Source(PROJECT, "e" * 40, self.number)))
        sha = self.rig.branch(request.source, {path_of(target): text}, message)
        self.rig.pushed_by("bob", sha)
        self.work.setdefault(request.source, []).append(sha)
        self.excuse([target])

    def person_edits(self, request: MergeRequest, tag: str) -> None:
        target = min(request.targets)
        self.person_commits(request, {path_of(target): self.edited(request.source, target, tag)})

    def person_closes(self, request: MergeRequest) -> None:
        self.people.close(request.iid)
        self.excuse(request.targets)

    def person_deletes(self, request: MergeRequest) -> None:
        self.rig.git("update-ref", "-d", f"refs/heads/{request.source}")
        self.people.get(request.iid)
        self.excuse(request.targets)
        self.forget(request.source)

    def person_merges(self, request: MergeRequest, method: MergeMethod) -> None:
        merged = self.people.merge(request.iid, MergeCall(request.head_sha, method, "Ship it")).state == "merged"
        if merged:
            self.forget(request.source)
            # Of two that hold the same target, the one that a person chose is what was wanted.
            self.excuse(
                target for target in request.targets if self.main[target] != self.promised.get(target, ("", 0))[0]
            )

    def person_pushes(self, target: str, tag: str) -> None:
        self.rig.branch("main", {path_of(target): self.edited("main", target, tag)}, "By hand")
        self.excuse([target])

    def elsewhere(self, target: str | None = None) -> None:
        """Somebody pushes to main: another file, or another line of a file that we write."""
        self.number += 1
        path = path_of(target) if target else f"notes/{self.number}.md"
        text = self.rig.server.read("config", path) if target else b""
        self.rig.branch("main", {path: text + f"# note {self.number}\n".encode()}, "Elsewhere")

    def approve(self, request: MergeRequest) -> None:
        self.rig.approve("alice", request.iid, request.head_sha)
        self.approved.add((request.iid, request.head_sha))

    def withdraw(self, request: MergeRequest) -> None:
        self.rig.withdraw("alice", request.iid)
        self.approved = {(iid, head) for iid, head in self.approved if iid != request.iid}

    def status(self, request: MergeRequest, passed: bool) -> None:
        status = CommitStatus("scan", "success" if passed else "failed")
        self.people.set_status(request.head_sha, status, ref=request.source)
        self.red = self.red - {request.head_sha} if passed else self.red | {request.head_sha}

    def hold(self, hold: Hold) -> None:
        self.holds.add(hold)
        self._write_holds(hold.environment)

    def release(self, hold: Hold) -> None:
        self.holds.discard(hold)
        self._write_holds(hold.environment)

    def _write_holds(self, environment: str) -> None:
        lines = "".join(sorted(hold.line for hold in self.holds if hold.environment == environment))
        self.rig.branch("main", {f".ci-gitops/holds/{environment}.yaml": lines.encode()}, "Hold or release")

    # What must be true

    def excuse(self, targets: Iterable[str]) -> None:
        """People have decided otherwise."""
        for target in [*targets]:
            self.promised.pop(target, None)

    def forget(self, branch: str) -> None:
        self.work.pop(branch, None)

    def keeps_one_open(self, environment: str) -> None:
        """At most one open promotion of each target."""
        held = [target for one in self.open for target in one.targets if target.startswith(f"{environment}/")]
        assert len(held) == len(set(held)), f"two open merge requests hold one target: {sorted(held)}"

    def moved_nothing_held(self, before: Mapping[str, str]) -> None:
        """We brought nothing to the target branch that is held."""
        after = self.main
        for target, tag in after.items():
            barred = [hold for hold in self.holds if hold.bars(target, tag)]
            assert tag == before[target] or not barred, f"{target} moved to {tag} under {barred}"

    def was_green(self, request: MergeRequest, override: bool) -> None:
        """Its gates were open at the head that was merged."""
        environments = {target.split("/")[0] for target in request.targets}
        needs = max(APPROVALS[name] for name in environments)
        assert needs == 0 or override or (request.iid, request.head_sha) in self.approved, f"!{request.iid} unapproved"
        assert request.head_sha not in self.red, f"!{request.iid} was merged with a failed status"

    def is_kept(self) -> None:
        """What was reported as written is on the target branch or in an open merge request."""
        main, requests = self.main, self.open
        for target, (tag, pipeline) in self.promised.items():
            there = {self.tags(one.head_sha)[target] for one in requests if target in one.targets}
            assert tag in {main[target], *there}, (
                f"{target}: {tag} of pipeline {pipeline} is lost ({main[target]}, {there})"
            )

    def people_s_work_stays(self) -> None:
        """No commit of a person on a branch was overwritten."""
        for branch, commits in self.work.items():
            head = self.head(branch)
            assert head, f"{branch} is gone with {commits}"
            for commit in commits:
                assert self.holds_commit(head, commit), f"{branch} was written over {commit}"
