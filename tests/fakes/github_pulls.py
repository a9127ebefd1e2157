"""The calls of the fake of GitHub that are about pull requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.api import Answer, Call, Refused
from tests.fakes.github_server import GitHubServer, invalid
from tests.fakes.github_state import Person, Pull, label, stamp, users

_METHODS = {"merge": "Merge commits are", "squash": "Squash merges are", "rebase": "Rebase merges are"}


class PullRequests(GitHubServer):
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
            raise Refused(422, "Validation Failed") if head else invalid("head invalid")
        wanted = ("open", "", body["head"], body["base"])
        if any((one.state, one.owner, one.head, one.base) == wanted for one in self.pulls):
            raise invalid(f"A pull request already exists for {self.name.split('/')[0]}:{body['head']}.")
        if self.repository.holds(self.repository.head(body["base"]), head):
            raise invalid(f"No commits between {body['base']} and {body['head']}")
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
            raise invalid("body is too long (maximum is 65536 characters)")
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
            raise invalid("Review cannot be requested from pull request author.")
        if not set(users_asked) <= {name for name, one in self.people.items() if one.permission != "none"} or not (
            set(teams) <= set(self.teams)
        ):
            raise invalid("Reviews may only be requested from collaborators.")
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
