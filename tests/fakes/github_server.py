"""What the fake of GitHub is made of: one repository with its people and rules, and what happens there by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.fakes.api import Answer, Call, FakeApi, Refused
from tests.fakes.bare_git import BareGit
from tests.fakes.clock import Clock
from tests.fakes.github_state import Person, Pull, Rules, refusal, stamp
from tests.fakes.openapi import load_spec
from tests.fakes.spec_gaps import GITHUB
from tests.rig.git_server import GitServer


class GitHubServer(FakeApi):
    def __init__(self, git: GitServer, name: str, *, bare: str | None = None, clock: Clock | None = None) -> None:
        super().__init__(git, load_spec("github-openapi.json", GITHUB), clock or Clock())
        self.name = name
        self.repository = BareGit(git.bare(bare or name))
        self.people: dict[str, Person] = {}
        self.tokens: dict[str, str] = {}
        self.teams: dict[str, list[str]] = {}
        self.pulls: list[Pull] = []
        self.rules = Rules()
        self.settings: dict[str, Any] = {
            "allow_merge_commit": True, "allow_squash_merge": True, "allow_rebase_merge": True,
            "allow_auto_merge": True, "delete_branch_on_merge": True,
        }  # fmt: skip
        self.workflows = ("read", False)  # what GITHUB_TOKEN may do, and whether it opens pull requests
        self.scopes = "repo, read:org"  # of people's tokens
        self.old_names: list[str] = []
        self.statuses: list[dict[str, Any]] = []
        self.check_runs: list[dict[str, Any]] = []
        self.deployments: list[dict[str, Any]] = []
        self.deployment_statuses: dict[int, list[dict[str, Any]]] = {}
        self.app: tuple[str, str] | None = None  # an App: its id, its public key
        self.before_merge: Callable[[], object] | None = None
        self.lag = 0  # so many more calls do not see pushes yet
        self.pushers: dict[str, str] = {}  # head -> who pushed it, where that was not robot
        self._numbers = 0

    # Set up

    def token(self, login: str, permission: str = "write", *, bot: bool = False) -> str:
        self.people.setdefault(login, Person(login, permission, "Bot" if bot else "User"))
        token = f"{'ghs' if bot else 'ghp'}_{login}"
        self.tokens[token] = login
        return token

    def check_run(
        self, sha: str, name: str, conclusion: str | None = None, status: str = "completed", **more: Any
    ) -> None:
        """A check run as an app posts it; without a conclusion it is still running."""
        self.check_runs.append({
            "id": self.number(), "node_id": "CR", "head_sha": sha, "name": name, "conclusion": conclusion,
            "status": status if conclusion else "in_progress", "started_at": self.now(), "details_url": None,
            "completed_at": self.now() if conclusion else None, **more,
        })  # fmt: skip
        self.settle()

    def review(self, login: str, number: int, state: str, sha: str | None = None) -> None:
        """A person's review: APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED."""
        self.token(login)
        pull = self.pull(number)
        pull.reviews.append({
            "id": self.number(), "node_id": "R", "user": self.people[login].json, "body": "", "state": state,
            "commit_id": sha or pull.head_sha, "submitted_at": self.now(),
        })  # fmt: skip
        pull.reviewers = [one for one in pull.reviewers if one != login]
        self.settle()

    # How it speaks

    def described(self, path: str) -> str:
        return path.removeprefix("/api/v3")

    def now(self) -> str:
        self.clock.advance(1)
        return stamp(self.clock.now())

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def pull(self, number: int | str) -> Pull:
        found = next((one for one in self.pulls if one.number == int(number)), None)
        if found is None:
            raise Refused(404, "Not Found")
        return found

    def caller(self, call: Call) -> Person:
        token = call.headers.get("authorization", "").partition(" ")[2]
        if token not in self.tokens:
            raise Refused(401, "Bad credentials")
        return self.people[self.tokens[token]]

    def writer(self, call: Call) -> Person:
        person = self.caller(call)
        if person.permission not in ("admin", "write"):
            needed = {"X-Accepted-GitHub-Permissions": "contents=write; pull_requests=write"}
            raise Refused(403, "Resource not accessible by personal access token", needed)
        return person

    def paged(self, call: Call, items: Sequence[Any], key: str | None = None, **more: Any) -> Answer:
        size, page = int(call.asked("per_page", "30")), int(call.asked("page", "1"))
        part = list(items[(page - 1) * size : page * size])
        headers = (
            {"Link": f'<{self.git.base}{call.path}?page={page + 1}>; rel="next"'} if len(items) > page * size else {}
        )
        return Answer(200, {"total_count": len(items), key: part, **more} if key else part, headers)

    # What happens by itself

    def notice(self) -> None:
        """Branches that Git has moved or deleted."""
        if self.lag:
            self.lag -= 1
            return
        for pull in self.pulls:
            if pull.state != "open" or pull.owner:
                continue
            head, base = self.repository.head(pull.head), self.repository.head(pull.base)
            if not head:
                pull.state, pull.armed = "closed", None
            elif head != pull.head_sha:
                pull.heads.append(pull.head_sha)
                pull.head_sha, pull.queued = head, ""
                pull.updated = self.clock.now()
            if head and base and self.repository.holds(base, head):
                self._is_merged(pull, base)

    def settle(self) -> None:
        """Merge what is armed or queued and held by nothing any more."""
        for pull in self.pulls:
            if pull.state != "open" or pull.draft or self.held(pull):
                continue
            if pull.queued == pull.head_sha and self.repository.merged_tree(
                self.repository.head(pull.base), pull.head_sha
            ):
                self.land(pull, "merge", pull.title, pull.body)
            elif pull.armed and not self.rules.queue:
                self.land(pull, pull.armed["merge_method"], pull.armed["commit_title"], pull.armed["commit_message"])

    def held(self, pull: Pull) -> str:
        """Why the rules do not let it be merged; "" where they do."""
        states = {one["context"]: one["state"] for one in self.statuses if one["sha"] == pull.head_sha}
        runs = {one["name"]: one["conclusion"] for one in self.check_runs if one["head_sha"] == pull.head_sha}
        for context in self.rules.contexts:
            state = states.get(context) or runs.get(context)
            if state not in ("success", "neutral", "skipped"):
                return f'Required status check "{context}" is {"expected" if state is None else "failing"}.'
        opinions = {one["user"]["login"]: one for one in pull.reviews if one["state"] != "COMMENTED"}
        yes = [one for one in opinions.values() if one["state"] == "APPROVED"]
        if len(yes) < self.rules.approvals:
            return f"At least {self.rules.approvals} approving review is required by reviewers with write access."
        if self.rules.up_to_date and not self.repository.holds(pull.head_sha, self.repository.head(pull.base)):
            return "Head branch is out of date. Review and try the merge again."
        return ""

    def land(self, pull: Pull, method: str, title: str | None, text: str | None) -> None:
        git, base = self.repository, self.repository.head(pull.base)
        tree = git.merged_tree(base, pull.head_sha)
        assert tree
        message = "\n\n".join(part for part in (title or pull.title, text or "") if part)
        if method == "rebase":
            new = git.rebased(base, pull.head_sha)
        else:
            new = git.commit(tree, [base] if method == "squash" else [base, pull.head_sha], message)
        git.move(pull.base, new, base)
        self._is_merged(pull, new)
        if self.settings["delete_branch_on_merge"] and git.head(pull.head):
            git.delete(pull.head)

    def _is_merged(self, pull: Pull, commit: str) -> None:
        pull.state, pull.merge_commit, pull.armed, pull.queued = "closed", commit, None, ""
        pull.merged = pull.updated = self.clock.now()


def invalid(message: str) -> Refused:
    made = Refused(422, message)
    made.answer = Answer(422, refusal(message))
    return made
