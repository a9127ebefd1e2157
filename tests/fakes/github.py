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

import jwt

from tests.fakes.api import Answer, Call, Refused
from tests.fakes.github_commits import Commits
from tests.fakes.github_graphql import answer_graphql
from tests.fakes.github_pulls import PullRequests
from tests.fakes.github_state import stamp, users

_PULL = r"/repos/{repo}/pulls/(\d+)"
_ISSUE = r"/repos/{repo}/issues/(\d+)"


class FakeGitHub(PullRequests, Commits):
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
            "default_branch": "main", "html_url": f"{self.git.base}/{self.name}", **self.settings,
        })  # fmt: skip

    def get_user(self, call: Call) -> Answer:
        person = self.caller(call)
        if person.kind == "Bot":
            raise Refused(403, "Resource not accessible by integration")
        return Answer(200, {**person.json, "name": person.login.title()}, {"X-OAuth-Scopes": self.scopes})

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
        others = [{"type": kind, "ruleset_id": 1} for kind in self.rules.kinds]
        return self.paged(call, [*others, *([rule] if self.rules.statuses else [])])

    def get_branch(self, call: Call, branch: str) -> Answer:
        rules = self.rules
        contexts = {"contexts": rules.older_statuses, "checks": []}
        older = rules.classic is not None or bool(rules.older_statuses)
        protection = {"enabled": older, "required_status_checks": contexts}
        protected = older or bool(rules.statuses or rules.kinds)
        return Answer(200, {"name": branch, "protected": protected, "protection": protection})

    def get_protection(self, call: Call, branch: str) -> Answer:
        self.administrator(call)
        if self.rules.classic is None:
            raise Refused(404, "Branch not protected")
        return Answer(200, self.rules.classic)

    def get_workflow_permissions(self, call: Call) -> Answer:
        self.administrator(call)
        return Answer(200, {"default_workflow_permissions": self.workflows[0],
                            "can_approve_pull_request_reviews": self.workflows[1]})  # fmt: skip

    def administrator(self, call: Call) -> None:
        if self.caller(call).permission != "admin":
            raise Refused(403, "Resource not accessible by personal access token")


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
    ("GET", r"/repos/{repo}/branches/([^/]+)/protection", FakeGitHub.get_protection),
    ("GET", "/repos/{repo}/actions/permissions/workflow", FakeGitHub.get_workflow_permissions),
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
    ("GET", "/repos/{repo}/activity", FakeGitHub.list_activity),
    ("GET", r"/repos/{repo}/commits/([^/]+)/status", FakeGitHub.get_status),
    ("POST", r"/repos/{repo}/statuses/([^/]+)", FakeGitHub.post_status),
    ("GET", r"/repos/{repo}/commits/([^/]+)/check-runs", FakeGitHub.list_check_runs),
    ("GET", "/repos/{repo}/deployments", FakeGitHub.list_deployments),
    ("POST", "/repos/{repo}/deployments", FakeGitHub.add_deployment),
    ("GET", r"/repos/{repo}/deployments/(\d+)", FakeGitHub.get_deployment),
    ("GET", r"/repos/{repo}/deployments/(\d+)/statuses", FakeGitHub.list_deployment_statuses),
    ("POST", r"/repos/{repo}/deployments/(\d+)/statuses", FakeGitHub.add_deployment_status),
)
