"""The calls of the fake of GitHub that are about commits: statuses, check runs and deployments."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tests.fakes.api import Answer, Call, Refused
from tests.fakes.github_server import GitHubServer, invalid


class Commits(GitHubServer):
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
            raise invalid("description is too long (maximum is 140 characters)")
        given = {"description": None, "target_url": None, "context": "default", **call.body}
        status = {"id": self.number(), "node_id": "S", **given, "created_at": self.now(), "updated_at": self.now()}
        self.statuses.append({**status, "sha": sha})
        self.settle()
        return Answer(201, status)

    def list_activity(self, call: Call) -> Answer:
        """Pushes to the branches of pull requests, newest first."""
        found = []
        for pull in self.pulls:
            heads = ["0" * 40, *pull.heads, pull.head_sha]
            for number, (before, after) in enumerate(pairwise(heads)):
                self.token(who := self.pushers.get(after, "robot"))
                found.append({
                    "id": 100 * pull.number + number, "node_id": "PSH", "before": before, "after": after,
                    "ref": f"refs/heads/{pull.head}", "timestamp": self.now(),
                    "activity_type": "push" if number else "branch_creation", "actor": self.people[who].json,
                })  # fmt: skip
        return self.paged(call, [one for one in found[::-1] if one["ref"] == call.asked("ref")])

    def list_check_runs(self, call: Call, sha: str) -> Answer:
        newest = {(one["name"], one["details_url"]): one for one in self.check_runs if one["head_sha"] == sha}
        return self.paged(call, list(newest.values()), "check_runs")

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
