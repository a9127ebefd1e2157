"""A fake of GitHub (Enterprise): its API over a real bare repository, asynchronous and with its rules.

    fake = FakeGitHub(git_server, "octo/config", bare="config")
    fake.token("alice")                     # a token of this person, who may write
    fake.rules.statuses.append("ci-gitops/gates")
    fake.faults.add(FAULTS["502"], "PUT", "/merge$")

Whether a pull request merges is known only to the second look, as at GitHub. Pushes and deletions by Git are noticed at
the next call.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any

import jwt

from tests.fakes.api import Answer, Call, FakeApi, Refused
from tests.fakes.bare_git import BareGit
from tests.fakes.clock import Clock
from tests.fakes.github_graphql import answer_graphql
from tests.fakes.github_state import Person, Pull, Rules, label, refusal, stamp, users
from tests.fakes.openapi import load_spec
from tests.fakes.spec_gaps import GITHUB
from tests.rig.git_server import GitServer

_METHODS = {"merge": "Merge commits are", "squash": "Squash merges are", "rebase": "Rebase merges are"}
_PULL = r"/repos/{repo}/pulls/(\d+)"
_ISSUE = r"/repos/{repo}/issues/(\d+)"


class FakeGitHub(FakeApi):
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
        self.old_names: list[str] = []
        self.statuses: list[dict[str, Any]] = []
        self.check_runs: list[dict[str, Any]] = []
        self.deployments: list[dict[str, Any]] = []
        self.deployment_statuses: dict[int, list[dict[str, Any]]] = {}
        self.app: tuple[str, str] | None = None  # an App: its id, its public key
        self.before_merge: Callable[[], object] | None = None
        self.lag = 0  # so many more calls do not see pushes yet
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

    def answer(self, call: Call) -> Answer:
        self.notice()
        path = self.described(call.path)
        if path == "/api/graphql":
            return answer_graphql(self, self.caller(call), call.body)
        for old in self.old_names:
            if path == f"/repos/{old}" or path.startswith(f"/repos/{old}/"):
                place = f"{self.git.base}/api/v3/repositories/1{path.removeprefix(f'/repos/{old}')}"
                message = {"message": "Moved Permanently", "url": place, "documentation_url": "https://docs.github.com"}
                return Answer(301 if call.method == "GET" else 307, message, {"Location": place})
        path = re.sub(r"^/repositories/1(?=/|$)", f"/repos/{self.name}", path)
        for method, pattern, handle in ROUTES:
            found = re.fullmatch(pattern.replace("{repo}", re.escape(self.name)), path)
            if found and method == call.method:
                return handle(self, call, *map(urllib.parse.unquote, found.groups()))
        raise Refused(404, "Not Found")

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

    # The App

    def app_caller(self, call: Call) -> None:
        """The App itself, by a proof that is signed with its key."""
        assert self.app
        proof = call.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            jwt.decode(proof, self.app[1], algorithms=["RS256"], issuer=self.app[0])
        except jwt.InvalidTokenError as error:
            raise Refused(401, "A JSON web token could not be decoded") from error

    def get_installation(self, call: Call) -> Answer:
        self.app_caller(call)
        return Answer(200, {"id": 77, "app_id": 5, "app_slug": "promoter", "account": None})

    def add_installation_token(self, call: Call, number: str) -> Answer:
        self.app_caller(call)
        assert call.body == {"repositories": [self.name.split("/")[1]]}
        token = self.token("promoter[bot]", bot=True)
        return Answer(201, {"token": token, "expires_at": stamp(self.clock.now() + 3600)})

    # The repository and its people

    def get_repository(self, call: Call) -> Answer:
        self.caller(call)
        return Answer(200, {
            "id": 1, "node_id": "R_1", "name": self.name.split("/")[1], "full_name": self.name, "private": True,
            "default_branch": "main", **self.settings,
        })  # fmt: skip

    def get_user(self, call: Call) -> Answer:
        person = self.caller(call)
        if person.kind == "Bot":
            raise Refused(403, "Resource not accessible by integration")
        return Answer(200, {**person.json, "name": person.login.title()}, {"X-OAuth-Scopes": "repo, read:org"})

    def get_person(self, call: Call, login: str) -> Answer:
        if login not in self.people:
            raise Refused(404, "Not Found")
        return Answer(200, self.people[login].json)

    def get_permission(self, call: Call, login: str) -> Answer:
        self.get_person(call, login)
        permission = self.people[login].permission
        return Answer(200, {"permission": permission, "role_name": permission, "user": None})

    def get_team(self, call: Call, organisation: str, slug: str) -> Answer:
        if slug not in self.teams or organisation != self.name.split("/")[0]:
            raise Refused(404, "Not Found")
        return self.paged(call, users(self.teams[slug], self.people))

    def get_rules(self, call: Call, branch: str) -> Answer:
        rule = {
            "type": "required_status_checks", "ruleset_id": 1,
            "parameters": {"strict_required_status_checks_policy": self.rules.up_to_date,
                           "required_status_checks": [{"context": one} for one in self.rules.statuses]},
        }  # fmt: skip
        return self.paged(call, [rule] if self.rules.statuses else [])

    def get_branch(self, call: Call, branch: str) -> Answer:
        contexts = {"contexts": self.rules.older_statuses, "checks": []}
        return Answer(200, {"name": branch, "protected": True, "protection": {"required_status_checks": contexts}})

    # Pull requests

    def shown(self, pull: Pull, *, whole: bool = True) -> dict[str, Any]:
        owner, url = self.name.split("/")[0], f"{self.git.base}/{self.name}/pull/{pull.number}"
        repository = {"id": 1, "full_name": self.name, "owner": Person(owner).json}
        theirs = (
            {"id": 2, "full_name": f"{pull.owner}/fork", "owner": Person(pull.owner).json} if pull.owner else repository
        )
        teams = [{"id": 1, "node_id": "T", "name": slug, "slug": slug} for slug in pull.teams]
        simple = {
            "number": pull.number, "id": 1000 + pull.number, "node_id": pull.node, "html_url": url, "url": url,
            "state": pull.state, "title": pull.title, "body": pull.body or None, "draft": pull.draft,
            "user": self.people[pull.author].json, "labels": [label(name) for name in pull.labels],
            "assignees": users(pull.assignees, self.people), "requested_teams": teams,
            "requested_reviewers": users(pull.reviewers, self.people),
            "head": {"ref": pull.head, "sha": pull.head_sha, "label": f"{pull.owner or owner}:{pull.head}",
                     "repo": theirs},
            "base": {"ref": pull.base, "sha": self.repository.head(pull.base), "label": f"{owner}:{pull.base}",
                     "repo": repository},
            "merge_commit_sha": pull.merge_commit or None, "auto_merge": pull.armed,
            "created_at": stamp(pull.created), "updated_at": stamp(pull.updated or pull.created),
            "merged_at": stamp(pull.merged) if pull.merged else None,
        }  # fmt: skip
        return {**simple, "merged": bool(pull.merged), **self._mergeability(pull)} if whole else simple

    def _mergeability(self, pull: Pull) -> dict[str, Any]:
        """Computed when it is first asked for; that answer does not have it yet."""
        base = self.repository.head(pull.base)
        if pull.state != "open" or pull.looked_at != (pull.head_sha, base):
            pull.looked_at = (pull.head_sha, base)
            return {"mergeable": None, "mergeable_state": "unknown"}
        if self.repository.merged_tree(base, pull.head_sha) is None:
            return {"mergeable": False, "mergeable_state": "dirty"}
        held = self.held(pull)
        state = "draft" if pull.draft else "behind" if "out of date" in held else "blocked" if held else "clean"
        return {"mergeable": True, "mergeable_state": state}

    def list_pulls(self, call: Call) -> Answer:
        self.caller(call)
        state, head, base = call.asked("state", "open"), call.asked("head"), call.asked("base")
        owner = self.name.split("/")[0]
        # Without an owner in `head` the filter does nothing: https://github.com/orgs/community/discussions/9865
        found = [
            pull for pull in self.pulls
            if state in ("all", pull.state) and base in ("", pull.base)
            and (":" not in head or head == f"{pull.owner or owner}:{pull.head}")
        ]  # fmt: skip
        key: Callable[[Pull], Any] = {
            "created": lambda pull: pull.number, "updated": lambda pull: (pull.updated, pull.number)
        }[call.asked("sort", "created")]  # fmt: skip
        found.sort(key=key, reverse=call.asked("direction", "desc") == "desc")
        return self.paged(call, [self.shown(pull, whole=False) for pull in found])

    def open_pull(self, call: Call) -> Answer:
        person, body = self.writer(call), call.body
        head = self.repository.head(body["head"])
        if not head or not self.repository.head(body["base"]):
            raise Refused(422, "Validation Failed") if head else _invalid("head invalid")
        wanted = ("open", "", body["head"], body["base"])
        if any((one.state, one.owner, one.head, one.base) == wanted for one in self.pulls):
            raise _invalid(f"A pull request already exists for {self.name.split('/')[0]}:{body['head']}.")
        if self.repository.holds(self.repository.head(body["base"]), head):
            raise _invalid(f"No commits between {body['base']} and {body['head']}")
        pull = Pull(
            len(self.pulls) + 1, body["head"], body["base"], body["title"], body.get("body") or "", person.login,
            body.get("draft", False), head, self.clock.now(),
        )  # fmt: skip
        self.pulls.append(pull)
        return Answer(201, self.shown(pull))

    def get_pull(self, call: Call, number: str) -> Answer:
        self.caller(call)
        return Answer(200, self.shown(self.pull(number)))

    def edit_pull(self, call: Call, number: str) -> Answer:
        self.writer(call)
        pull = self.pull(number)
        pull.title, pull.body = call.body.get("title", pull.title), call.body.get("body", pull.body)
        if len(pull.body) > 65_536:
            raise _invalid("body is too long (maximum is 65536 characters)")
        if not pull.merged:
            pull.state = call.body.get("state", pull.state)
        pull.updated = self.clock.now()
        return Answer(200, self.shown(pull))

    def merge_pull(self, call: Call, number: str) -> Answer:
        self.writer(call)
        pull, method = self.pull(number), call.body.get("merge_method", "merge")
        base = self.repository.head(pull.base)
        if self.before_merge:
            callback, self.before_merge = self.before_merge, None
            callback()
        self.notice()
        if pull.state != "open":
            raise Refused(405, "Pull Request is not mergeable")
        if pull.draft:
            raise Refused(405, "Pull Request is still a draft")
        if call.body.get("sha", pull.head_sha) != pull.head_sha:
            raise Refused(409, "Head branch was modified. Review and try the merge again.")
        if not self.settings[{"merge": "allow_merge_commit"}.get(method, f"allow_{method}_merge")]:
            raise Refused(405, f"{_METHODS[method]} not allowed on this repository.")
        if self.repository.head(pull.base) != base:
            raise Refused(405, "Base branch was modified. Review and try the merge again.")
        if self.rules.queue:
            raise Refused(405, "Repository rule violations found\n\nChanges must be made through the merge queue")
        if self.repository.merged_tree(base, pull.head_sha) is None:
            raise Refused(405, "Pull Request is not mergeable")
        if held := self.held(pull):
            raise Refused(405, held)
        self.land(pull, method, call.body.get("commit_title"), call.body.get("commit_message"))
        return Answer(200, {"sha": pull.merge_commit, "merged": True, "message": "Pull Request successfully merged"})

    def list_reviews(self, call: Call, number: str) -> Answer:
        return self.paged(call, self.pull(number).reviews)

    def ask_for_review(self, call: Call, number: str) -> Answer:
        self.writer(call)
        pull, users_asked, teams = (
            self.pull(number),
            call.body.get("reviewers", []),
            call.body.get("team_reviewers", []),
        )
        if pull.author in users_asked:
            raise _invalid("Review cannot be requested from pull request author.")
        if not set(users_asked) <= {name for name, one in self.people.items() if one.permission != "none"} or not (
            set(teams) <= set(self.teams)
        ):
            raise _invalid("Reviews may only be requested from collaborators.")
        pull.reviewers += [one for one in users_asked if one not in pull.reviewers]
        pull.teams += [one for one in teams if one not in pull.teams]
        return Answer(201, self.shown(pull, whole=False))

    def add_labels(self, call: Call, number: str) -> Answer:
        self.writer(call)
        pull = self.pull(number)
        pull.labels += [one for one in call.body["labels"] if one not in pull.labels]
        return Answer(200, [label(one) for one in pull.labels])

    def remove_label(self, call: Call, number: str, name: str) -> Answer:
        self.writer(call)
        pull = self.pull(number)
        if name not in pull.labels:
            raise Refused(404, "Label does not exist")
        pull.labels.remove(name)
        return Answer(200, [label(one) for one in pull.labels])

    def assign(self, call: Call, number: str) -> Answer:
        self.writer(call)
        pull = self.pull(number)
        able = [one for one in call.body["assignees"] if one in self.people and self.people[one].permission != "none"]
        pull.assignees = [*dict.fromkeys([*pull.assignees, *able])][:10]
        return Answer(201, {"number": pull.number, "assignees": users(pull.assignees, self.people)})

    def list_comments(self, call: Call, number: str) -> Answer:
        return self.paged(call, self.pull(number).comments)

    def add_comment(self, call: Call, number: str) -> Answer:
        person = self.writer(call)
        comment = {
            "id": self.number(), "node_id": "C", "body": call.body["body"], "user": person.json,
            "created_at": self.now(), "html_url": f"{self.git.base}/{self.name}/pull/{number}#c",
            "author_association": "COLLABORATOR",
        }  # fmt: skip
        self.pull(number).comments.append(comment)
        return Answer(201, comment)

    def edit_comment(self, call: Call, number: str) -> Answer:
        self.writer(call)
        for pull in self.pulls:
            for comment in pull.comments:
                if comment["id"] == int(number):
                    comment["body"] = call.body["body"]
                    return Answer(200, comment)
        raise Refused(404, "Not Found")

    def remove_comment(self, call: Call, number: str) -> Answer:
        self.writer(call)
        for pull in self.pulls:
            pull.comments = [one for one in pull.comments if one["id"] != int(number)]
        return Answer(204)

    # Commits

    def get_status(self, call: Call, sha: str) -> Answer:
        newest = {one["context"]: one for one in self.statuses if one["sha"] == sha}
        shown = [{name: value for name, value in one.items() if name != "sha"} for one in newest.values()]
        states = {one["state"] for one in shown}
        state = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
        return self.paged(call, shown, "statuses", state=state, sha=sha)

    def post_status(self, call: Call, sha: str) -> Answer:
        self.writer(call)
        if not self.repository.has(sha):
            raise Refused(422, f"No commit found for SHA: {sha}")
        if len(call.body.get("description") or "") > 140:
            raise _invalid("description is too long (maximum is 140 characters)")
        given = {"description": None, "target_url": None, "context": "default", **call.body}
        status = {"id": self.number(), "node_id": "S", **given, "created_at": self.now(), "updated_at": self.now()}
        self.statuses.append({**status, "sha": sha})
        self.settle()
        return Answer(201, status)

    def list_check_runs(self, call: Call, sha: str) -> Answer:
        newest = {(one["name"], one["details_url"]): one for one in self.check_runs if one["head_sha"] == sha}
        return self.paged(call, list(newest.values()), "check_runs")

    # Deployments

    def list_deployments(self, call: Call) -> Answer:
        wanted = {name: call.asked(name) for name in ("environment", "sha", "task") if call.asked(name)}
        found = [one for one in self.deployments if all(one[name] == value for name, value in wanted.items())]
        return self.paged(call, found[::-1])

    def get_deployment(self, call: Call, number: str) -> Answer:
        return Answer(200, self._deployment(number))

    def _deployment(self, number: str) -> dict[str, Any]:
        found = next((one for one in self.deployments if one["id"] == int(number)), None)
        if found is None:
            raise Refused(404, "Not Found")
        return found

    def add_deployment(self, call: Call) -> Answer:
        self.writer(call)
        body = {"environment": "production", "auto_merge": True, "payload": {}, "task": "deploy", **call.body}
        sha = self.repository.head(body["ref"]) or body["ref"]
        if not self.repository.has(sha):
            raise Refused(422, f"No ref found for: {body['ref']}")
        if body["auto_merge"] and not self.repository.holds(sha, self.repository.head("main")):
            return Answer(202, {"message": f"Auto-merged main into {body['ref']} on deployment."})
        states = {one["context"]: one["state"] for one in self.statuses if one["sha"] == sha}
        if body.get("required_contexts") is None and set(states.values()) - {"success"}:
            raise Refused(409, "Conflict: Commit status checks failed for the ref.")
        deployment = {
            "id": self.number(), "node_id": "D", "sha": sha, "ref": body["ref"], "task": body["task"],
            "environment": body["environment"], "payload": body["payload"], "created_at": self.now(),
        }  # fmt: skip
        self.deployments.append(deployment)
        return Answer(201, deployment)

    def list_deployment_statuses(self, call: Call, number: str) -> Answer:
        return self.paged(call, self.deployment_statuses.get(self._deployment(number)["id"], [])[::-1])

    def add_deployment_status(self, call: Call, number: str) -> Answer:
        self.writer(call)
        deployment = self._deployment(number)
        status = self._deployment_status(deployment, call.body["state"], call.body.get("environment_url", ""))
        if status["state"] == "success" and call.body.get("auto_inactive", True):
            for other in self.deployments:
                if other is not deployment and other["environment"] == deployment["environment"]:
                    self._deployment_status(other, "inactive", "")
        return Answer(201, status)

    def _deployment_status(self, deployment: dict[str, Any], state: str, url: str) -> dict[str, Any]:
        told = self.deployment_statuses.setdefault(deployment["id"], [])
        told.append({"id": self.number(), "node_id": "DS", "state": state, "environment_url": url,
                     "created_at": self.now()})  # fmt: skip
        return told[-1]


def _invalid(message: str) -> Refused:
    made = Refused(422, message)
    made.answer = Answer(422, refusal(message))
    return made


Handler = Callable[..., Answer]
ROUTES: Sequence[tuple[str, str, Handler]] = (
    ("GET", "/repos/{repo}/installation", FakeGitHub.get_installation),
    ("POST", r"/app/installations/(\d+)/access_tokens", FakeGitHub.add_installation_token),
    ("GET", "/user", FakeGitHub.get_user),
    ("GET", r"/users/([^/]+)", FakeGitHub.get_person),
    ("GET", r"/orgs/([^/]+)/teams/([^/]+)/members", FakeGitHub.get_team),
    ("GET", "/repos/{repo}", FakeGitHub.get_repository),
    ("GET", r"/repos/{repo}/collaborators/([^/]+)/permission", FakeGitHub.get_permission),
    ("GET", r"/repos/{repo}/rules/branches/([^/]+)", FakeGitHub.get_rules),
    ("GET", r"/repos/{repo}/branches/([^/]+)", FakeGitHub.get_branch),
    ("GET", "/repos/{repo}/pulls", FakeGitHub.list_pulls),
    ("POST", "/repos/{repo}/pulls", FakeGitHub.open_pull),
    ("GET", _PULL, FakeGitHub.get_pull),
    ("PATCH", _PULL, FakeGitHub.edit_pull),
    ("PUT", rf"{_PULL}/merge", FakeGitHub.merge_pull),
    ("GET", rf"{_PULL}/reviews", FakeGitHub.list_reviews),
    ("POST", rf"{_PULL}/requested_reviewers", FakeGitHub.ask_for_review),
    ("POST", rf"{_ISSUE}/labels", FakeGitHub.add_labels),
    ("DELETE", rf"{_ISSUE}/labels/([^/]+)", FakeGitHub.remove_label),
    ("POST", rf"{_ISSUE}/assignees", FakeGitHub.assign),
    ("GET", rf"{_ISSUE}/comments", FakeGitHub.list_comments),
    ("POST", rf"{_ISSUE}/comments", FakeGitHub.add_comment),
    ("PATCH", r"/repos/{repo}/issues/comments/(\d+)", FakeGitHub.edit_comment),
    ("DELETE", r"/repos/{repo}/issues/comments/(\d+)", FakeGitHub.remove_comment),
    ("GET", r"/repos/{repo}/commits/([^/]+)/status", FakeGitHub.get_status),
    ("POST", r"/repos/{repo}/statuses/([^/]+)", FakeGitHub.post_status),
    ("GET", r"/repos/{repo}/commits/([^/]+)/check-runs", FakeGitHub.list_check_runs),
    ("GET", "/repos/{repo}/deployments", FakeGitHub.list_deployments),
    ("POST", "/repos/{repo}/deployments", FakeGitHub.add_deployment),
    ("GET", r"/repos/{repo}/deployments/(\d+)", FakeGitHub.get_deployment),
    ("GET", r"/repos/{repo}/deployments/(\d+)/statuses", FakeGitHub.list_deployment_statuses),
    ("POST", r"/repos/{repo}/deployments/(\d+)/statuses", FakeGitHub.add_deployment_status),
)
