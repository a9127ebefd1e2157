"""The settings of a project on GitLab that the road depends on, asked for side by side and judged.

https://docs.gitlab.com/api/project_level_variables/ and its neighbours: who may see which of them differs from setting
to setting, and a refusal is 401, 403 or 404.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ci_gitops.adapters.forges.gitlab_advice import judge_freezes, judge_locks, judge_schedules, judge_variables
from ci_gitops.adapters.forges.gitlab_api import GitLabApi
from ci_gitops.adapters.forges.gitlab_branches import judge_images, judge_job_tokens, judge_merging, judge_protection
from ci_gitops.core.forge_settings import Needs, Setting, unseen
from ci_gitops.errors import CiGitopsError
from ci_gitops.masking import names_secret, register

Json = Mapping[str, Any]
_HIDDEN = (401, 403, 404)
_READ = "and the scope api or read_api"


@dataclass(frozen=True, slots=True)
class Question:
    """One list or record below the project, and who may see it."""

    check: str
    path: str
    what: str
    role: str
    one: bool = False  # a record, not a list


_QUESTIONS = (
    Question("protection", "/protected_branches", "the protected branches", "Maintainer"),
    Question("schedules", "/pipeline_schedules", "the pipeline schedules", "Developer"),
    Question("resource-groups", "/resource_groups", "the resource groups", "Developer"),
    Question("job-tokens", "/job_token_scope", "the permissions of job tokens", "Maintainer", one=True),
    Question("allowlist", "/job_token_scope/allowlist", "the allowlist of job tokens", "Maintainer"),
    Question("freezes", "/freeze_periods", "the deploy freezes", "Reporter"),
    Question("secrets", "/variables", "the CI/CD variables", "Maintainer"),
)


@dataclass
class GitLabSettings:
    api: GitLabApi
    needs: Needs
    _answers: dict[str, Any] = field(default_factory=dict)  # None: hidden from this token

    def judged(self) -> Iterator[Setting]:
        if self.api.job_token:
            yield unseen("settings", f"The settings of {self.api.site.project}", "an access token: CI_GITOPS_TOKEN")
            return
        project = self.api.project  # every path needs its number
        self._ask()
        yield from judge_merging(project, self.needs)
        yield from judge_images(project, self.needs)
        yield from self._of(
            "protection", lambda found: judge_protection(found, self._answers["me"], project, self.needs)
        )
        yield from self._of("schedules", lambda found: judge_schedules(found, project, self.needs))
        yield from self._of("resource-groups", lambda found: judge_locks(found, project))
        yield from self._of("job-tokens", lambda found: judge_job_tokens(found, self._answers["allowlist"], project))
        yield from self._of("freezes", lambda found: judge_freezes(found, project, self.needs))
        yield from self._of(
            "secrets", lambda found: judge_variables(found, self._answers["protection"], project, self.needs)
        )

    def _ask(self) -> None:
        """All at once: few short questions, each with its own answer or refusal."""
        asked: dict[str, Callable[[], Any]] = {one.check: _asking(self.api, one) for one in _QUESTIONS}
        asked["me"] = lambda: self.api.record(self.api.get("/user").data, "user", "id")["id"]
        with ThreadPoolExecutor(len(asked)) as threads:
            answers = {name: threads.submit(question) for name, question in asked.items()}
        for name, answer in answers.items():
            error = answer.exception()
            if error is not None and not isinstance(error, CiGitopsError):
                raise error
            self._answers[name] = error or answer.result()
        if isinstance(self._answers["me"], CiGitopsError):
            self._answers["me"] = None

    def _of(self, check: str, judge: Callable[[Any], Iterator[Setting]]) -> Iterator[Setting]:
        found = self._answers[check]
        question = next(one for one in _QUESTIONS if one.check == check)
        project = self.api.site.project
        if isinstance(found, CiGitopsError):
            yield Setting(check, "skip", f"{project}: {question.what} cannot be seen: {found.message}")
        elif found is None:
            yield unseen(check, f"{project}: {question.what}", f"the role {question.role} {_READ}")
        else:
            yield from judge(found)


def _asking(api: GitLabApi, question: Question) -> Callable[[], Any]:
    def asking() -> Sequence[Json] | Json | None:
        reply = api.get(api.at(question.path), {} if question.one else {"per_page": 100}, accept=_HIDDEN)
        if not reply.ok:
            return None
        if question.one:
            return api.record(reply.data, question.what)
        listed = [api.record(item, question.what) for item in reply.data or ()]
        for item in listed:
            if names_secret(str(item.get("key"))):  # what else is there would mask ordinary words
                register(item.get("value"))
        return [{name: value for name, value in item.items() if name != "value"} for item in listed]

    return asking
