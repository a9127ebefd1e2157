"""How the fake of GitLab merges: in the order of checks of the real one, with its three merge methods.

The order (`lib/api/merge_requests.rb`): 401 who may not merge, 405 what is not mergeable, 422 what cannot be merged,
409 another head, and only then the merge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.api import Refused
from tests.fakes.bare_git import BareGit
from tests.fakes.clock import Clock
from tests.fakes.gitlab_state import Mr, State, User, Version

_ACTIVE = ("created", "pending", "running", "preparing", "scheduled")


class Merging:
    """The merge requests of one project, followed over pushes and brought onto their targets."""

    def __init__(self, state: State, git: BareGit, clock: Clock) -> None:
        self.state = state
        self.git = git
        self.clock = clock
        self.before: Callable[[], object] | None = None  # called once, just before the next merge

    def follow(self, mr: Mr) -> None:
        """See what was pushed since."""
        if mr.state != "opened":
            return
        head = self.git.head(mr.source)
        if head and head != mr.head:
            if mr.lag:
                mr.lag -= 1
                return
            self._pushed(mr, head)
        target = self.git.head(mr.target)
        if mr.head and target and self.git.holds(target, mr.head) and mr.versions[0].head:
            mr.state, mr.merged = "merged", self._tick()

    def _pushed(self, mr: Mr, head: str) -> None:
        mr.head, mr.armed, mr.train = head, None, False
        mr.versions.append(Version(head, self._tick()))
        mr.updated = self.clock.now()
        mr.checking, mr.lag = self.state.rules.checking, self.state.rules.lag
        if self.state.rules.reset_approvals:
            mr.approved.clear()

    def status(self, mr: Mr) -> str:
        """`detailed_merge_status`; one reason only, in the order of the real one."""
        rules = self.state.rules
        if mr.state != "opened":
            return "not_open"
        target = self.git.head(mr.target)
        if not self.git.head(mr.source) or not target or mr.head == target:
            return "commits_status"
        if mr.checking:
            return "checking"
        for holds, name in (
            (mr.draft, "draft_status"),
            (self._conflicts(mr, target), "conflict"),
            (self._ci(mr) == "missing", "ci_must_pass"),
            (self._ci(mr) == "running", "ci_still_running"),
            (len(mr.approved) < rules.approvals, "not_approved"),
            (rules.merge_method != "merge" and not self.git.holds(mr.head, target), "need_rebase"),
        ):
            if holds:
                return name
        return "mergeable"

    def accept(self, mr: Mr, user: User, body: dict[str, Any]) -> None:
        """`PUT …/merge`."""
        rules = self.state.rules
        self._may(user)
        auto = body.get("auto_merge") if rules.version >= "17.11" else body.get("merge_when_pipeline_succeeds")
        status = self.status(mr)
        pipeline = self.state.newest_pipeline(mr.head)
        active = pipeline is not None and pipeline.status in _ACTIVE
        passed = pipeline is not None and pipeline.status == "success"
        now = status == "mergeable" and (passed or not auto)
        later = bool(auto) and active and status in ("mergeable", "ci_still_running", "not_approved")
        if not now and not later:
            raise Refused(405, "405 Method Not Allowed")
        if rules.stubborn:
            rules.stubborn -= 1
            raise Refused(405, "405 Method Not Allowed")
        if self.before:
            callback, self.before = self.before, None
            callback()
        head = self.git.head(mr.source)
        if self._conflicts(mr, self.git.head(mr.target)):
            raise Refused(422, "Branch cannot be merged")
        if body.get("sha") not in (None, head):
            raise Refused(409, "SHA does not match HEAD of source branch")
        for name in ("merge_commit_message", "squash_commit_message"):
            if body.get(name) == "":
                raise Refused(422, "Branch cannot be merged")
        if later:
            mr.armed = body
        else:
            self.land(mr, body)

    def land(self, mr: Mr, body: dict[str, Any]) -> None:
        """Bring it onto its target."""
        git, rules = self.git, self.state.rules
        base, head = git.head(mr.target), git.head(mr.source)
        squash = bool(body.get("squash") or mr.squash or rules.squash_option == "always")
        top = head
        if squash:
            tree = git.merged_tree(base, head)
            assert tree
            top = git.commit(tree, [base], body.get("squash_commit_message") or mr.title)
            mr.squash_commit = top
        if rules.merge_method != "ff":
            tree = git.merged_tree(base, top)
            assert tree
            said = body.get("merge_commit_message") or f"Merge branch '{mr.source}' into '{mr.target}'\n\n{mr.title}"
            top = git.commit(tree, [base, top], said)
            mr.merge_commit = top
        git.move(mr.target, top, base)
        mr.head, mr.armed, mr.train = head, None, False
        mr.state, mr.merged = "merged", self._tick()
        mr.updated, mr.locked, mr.late_sha = self.clock.now(), rules.locked, rules.late_sha
        if body.get("should_remove_source_branch", mr.remove_source):
            git.delete(mr.source)

    def go_on(self) -> None:
        """What was armed, and what is on the train, is merged where nothing holds it any more."""
        for mr in self.state.requests:
            self.follow(mr)
            pipeline = self.state.newest_pipeline(mr.head)
            done = pipeline is None or pipeline.status == "success"
            if (mr.armed is not None or mr.train) and done and self.status(mr) == "mergeable":
                self.land(mr, mr.armed or {})

    def _may(self, user: User) -> None:
        if user.role < self.state.rules.merge_role:
            raise Refused(401, "401 Unauthorized")

    def _conflicts(self, mr: Mr, target: str) -> bool:
        return self.git.merged_tree(target, mr.head) is None

    def _ci(self, mr: Mr) -> str:
        if not self.state.rules.pipelines_must_succeed:
            return "fine"
        pipeline = self.state.newest_pipeline(mr.head, external=True)
        if pipeline is None or pipeline.status in ("failed", "canceled", "skipped"):
            return "missing"
        return "running" if pipeline.status != "success" else "fine"

    def _tick(self) -> float:
        self.clock.advance(1)
        return self.clock.now()
