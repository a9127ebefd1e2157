"""The settings of a repository on GitHub that the road depends on, asked for side by side and judged.

What only administrators may read is answered by 403 or 404, and is said to be hidden.
https://docs.github.com/en/rest/branches/branch-protection
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ci_gitops.adapters.forges.github_api import DeniedError, GitHubApi
from ci_gitops.adapters.forges.github_checks import names_before
from ci_gitops.core.forge_settings import Needs, Setting, unseen
from ci_gitops.core.gates import CommitStatus
from ci_gitops.errors import CiGitopsError

Json = Mapping[str, Any]
_RULES = "Settings > Rules > Rulesets"
_OLDER = "Settings > Branches"
_ACTIONS = "Settings > Actions > General > Workflow permissions"
_ADMIN = "an administrator of the repository, or the permission Administration: read"


@dataclass(frozen=True, slots=True)
class Hidden:
    """No answer for this token; `why` where it is another trouble."""

    why: str = ""


@dataclass
class GitHubSettings:
    api: GitHubApi
    path: str  # /repos/octo/config
    repository: Json
    needs: Needs
    workflow: bool  # the token is that of a workflow
    _answers: dict[str, Any] = field(default_factory=dict)

    def judged(self) -> Iterator[Setting]:
        branch = quote(self.needs.branch, safe="")
        self._ask({
            "branch": lambda api: api.get(f"{self.path}/branches/{branch}"),
            "rules": lambda api: api.pages(f"{self.path}/rules/branches/{branch}"),
            "older": lambda api: api.get(f"{self.path}/branches/{branch}/protection"),
            "actions": lambda api: api.get(f"{self.path}/actions/permissions/workflow"),
            "names": lambda api: self._names(api),
        })  # fmt: skip
        yield from self._protection()
        yield from self._merging()
        yield from self._required()
        yield from self._actions()

    def _ask(self, questions: Mapping[str, Callable[[GitHubApi], Any]]) -> None:
        """Each on a line of its own: PyGithub keeps the state of a request on its connection."""
        with ThreadPoolExecutor(len(questions)) as threads:
            answers = {name: threads.submit(question, self.api.another()) for name, question in questions.items()}
        for name, answer in answers.items():
            error = answer.exception()
            if error is None:
                self._answers[name] = answer.result()
            elif isinstance(error, CiGitopsError):
                hidden = isinstance(error, DeniedError) or getattr(error, "status", 0) == 404
                self._answers[name] = Hidden("" if hidden else error.message)
            else:
                raise error

    def _names(self, api: GitHubApi) -> frozenset[str]:
        """What ran lately: for the newest pull request and the commits that it stands on, else for the branch."""
        pulls = api.pages(f"{self.path}/pulls", state="all", per_page=1, most=1)
        return names_before(api, self.path, str(pulls[0]["head"]["sha"]) if pulls else self.needs.branch)

    def _page(self, path: str) -> str:
        address = self.repository.get("html_url")
        return f"{address}/{path}" if address else ""

    @property
    def _name(self) -> str:
        return str(self.repository.get("full_name") or self.path.removeprefix("/repos/"))

    # The branch

    def _rules(self, kind: str) -> list[Json]:
        found = self._answers["rules"]
        return [] if isinstance(found, Hidden) else [one for one in found if one.get("type") == kind]

    @property
    def _classic(self) -> Json | None:
        """The older protection of the branch: {} where it has none, None where only an administrator sees it."""
        older, branch = self._answers["older"], self._answers["branch"]
        if isinstance(older, Mapping):
            return older
        if isinstance(branch, Mapping):
            protection = branch.get("protection") or {}
            enabled = protection.get("enabled", branch.get("protected"))
            return None if enabled else {}
        return None

    def _protection(self) -> Iterator[Setting]:
        branch, classic, where = self.needs.branch, self._classic, self._page("settings/rules")
        about = f"{self._name}: the branch {branch}"
        if classic is None:
            yield unseen("protection", f"{about}: its branch protection", _ADMIN)
        rules = self._answers["rules"]
        if isinstance(rules, Hidden):
            yield unseen("protection", f"{about}: its rulesets", "Metadata: read")
            return
        if classic == {} and not rules:
            past = f" past the review of {', '.join(self.needs.reviewed)}" if self.needs.reviewed else ""
            yield Setting(
                "protection", "warn",
                f"{about} has no ruleset and no protection: everybody with write access may push{past} and rewrite it.",
                f"{_RULES} > New branch ruleset for {branch}: block force pushes"
                f"{', require a pull request' if self.needs.reviewed else ''}", where,
            )  # fmt: skip
            return
        found = [*self._force(about, classic, where), *self._straight(about, classic, where)]
        yield from found
        if not found and classic is not None:
            yield Setting("protection", "ok", f"{about} is protected, and nobody may force a push.")

    def _force(self, about: str, classic: Json | None, where: str) -> Iterator[Setting]:
        if classic is None or self._rules("non_fast_forward"):
            return
        if not classic or (classic.get("allow_force_pushes") or {}).get("enabled"):
            yield Setting(
                "protection", "warn",
                f"{about} may be force pushed: that takes away commits whose trailers say what runs where.",
                f"{_RULES} > Block force pushes; or {_OLDER} > Allow force pushes: off", where,
            )  # fmt: skip

    def _straight(self, about: str, classic: Json | None, where: str) -> Iterator[Setting]:
        asked = bool(self._rules("pull_request") or (classic or {}).get("required_pull_request_reviews"))
        if asked and self.needs.pushed:
            names = ", ".join(self.needs.pushed)
            yield Setting(
                "protection", "warn",
                f"{about} is changed by pull request alone: pushes for {names} are refused, unless our account may"
                " bypass that.",
                f"{_RULES} > Bypass list: the token's account or App; or `write: merge-request` for {names}", where,
            )  # fmt: skip
        if classic is not None and not asked and self.needs.reviewed:
            yield Setting(
                "protection", "warn",
                f"{about} may be pushed to straight, past the review of {', '.join(self.needs.reviewed)}.",
                f"{_RULES} > Require a pull request before merging", where,
            )  # fmt: skip

    # Merging

    def _merging(self) -> Iterator[Setting]:
        if not self.needs.reviewed:
            return
        where = self._page("settings")
        if self.repository.get("archived"):
            yield Setting(
                "merging", "fail", f"{self._name} is archived: nothing can be written.",
                "Settings > General > Danger Zone > Unarchive this repository", where,
            )  # fmt: skip
        elif "allow_auto_merge" not in self.repository:
            yield unseen("merging", f"{self._name}: how it merges", "write access to the repository")
        elif self.needs.merges and not self.repository["allow_auto_merge"]:
            yield Setting(
                "merging", "warn",
                f"{self._name}: auto-merge is off, so what waits for checks is merged only when `ci-gitops merge` runs"
                " next.",
                "Settings > General > Pull Requests > Allow auto-merge; or a workflow with a schedule", where,
            )  # fmt: skip
        else:
            methods = {
                "merge commit": "allow_merge_commit",
                "squash": "allow_squash_merge",
                "rebase": "allow_rebase_merge",
            }
            allowed = ", ".join(words for words, field in methods.items() if self.repository.get(field))
            auto = "on" if self.repository["allow_auto_merge"] else "off"
            yield Setting("merging", "ok", f"{self._name}: merges by {allowed}; auto-merge is {auto}.")

    def _required(self) -> Iterator[Setting]:
        """A check that never runs holds every pull request for ever."""
        names = self._answers["names"]
        if isinstance(names, Hidden):
            yield unseen(
                "required-checks", f"{self._name}: what ran for its commits", "Checks and Commit statuses: read"
            )
            return
        required = [*dict.fromkeys(self._contexts())]
        never = [one for one in required if one not in names and not CommitStatus(one, "pending").ours]
        if never:
            yield Setting(
                "required-checks", "warn",
                f"{self._name}: {', '.join(never)} must pass before a merge into {self.needs.branch}, and did not run"
                " for the newest pull request: where nothing posts it, nothing is ever merged.",
                f"{_RULES} (or {_OLDER}) > Require status checks to pass: take out what does not exist",
                self._page("settings/rules"),
            )  # fmt: skip
        elif required:
            yield Setting("required-checks", "ok", f"{self._name}: {', '.join(required)} must pass before a merge.")

    def _contexts(self) -> Iterator[str]:
        for rule in self._rules("required_status_checks"):
            for one in (rule.get("parameters") or {}).get("required_status_checks") or ():
                yield str(one.get("context"))
        branch = self._answers["branch"]
        protection = {} if isinstance(branch, Hidden) else branch.get("protection") or {}
        yield from map(str, (protection.get("required_status_checks") or {}).get("contexts") or ())

    def _actions(self) -> Iterator[Setting]:
        """https://docs.github.com/en/actions/concepts/security/github_token"""
        found, where = self._answers["actions"], self._page("settings/actions")
        if isinstance(found, Hidden):
            if self.workflow:
                yield unseen("actions", f"{self._name}: what GITHUB_TOKEN may do", _ADMIN)
            return
        if self.workflow and self.needs.reviewed and not found.get("can_approve_pull_request_reviews"):
            yield Setting(
                "actions", "fail", f"{self._name}: GITHUB_TOKEN may not open pull requests.",
                f"{_ACTIONS} > Allow GitHub Actions to create and approve pull requests; better a GitHub App, for whose"
                " pull requests workflows run", where,
            )  # fmt: skip
        elif found.get("default_workflow_permissions") == "write":
            yield Setting(
                "actions", "warn",
                f"{self._name}: every workflow gets a GITHUB_TOKEN that may write, also past our rules.",
                f"{_ACTIONS} > Read repository contents; `permissions:` in the workflows that write", where,
            )  # fmt: skip
        else:
            yield Setting("actions", "ok", f"{self._name}: GITHUB_TOKEN reads, where a workflow does not ask for more.")
