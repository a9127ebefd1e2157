"""What the forge is told of a deployment, while it runs and at its end. A forge that is away or refuses fails nothing.

All of it happens in a thread of its own, in order and within a minute: the deployment waits for none of it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.ci import CiFacts
from ci_gitops.core.gates import CommitStatus
from ci_gitops.core.records import Record
from ci_gitops.errors import CiGitopsError, RefusedError, UsageError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps import commit_statuses as statuses
from ci_gitops.steps.commit_statuses import Begun
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.deploy_report import Done
from ci_gitops.steps.deployment_record import record_at_forge
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.locate import identity, same_project
from ci_gitops.steps.workplace import Workplace, Workplaces

_SECONDS = 60.0  # for all that there is to tell at the end
_DEPLOYED = ("deploy", "rollback")  # causes of records; healing is none
_SHORTLY = 5.0  # ... where the run was broken off


@dataclass
class ForgeReport:
    """Of one pass over one environment. Safe to use from several threads."""

    places: Workplaces
    place: Workplace
    environment: EnvironmentSettings
    ask: Ask
    _begun: dict[str, Begun] = field(default_factory=dict)
    _forges: dict[str | None, Forge | None] = field(default_factory=dict)  # by project; None: there is none to tell
    _silent: set[str | None] = field(default_factory=set)  # projects that take no status of ours
    _troubles: set[str] = field(default_factory=set)
    _work: queue.SimpleQueue[Callable[[], None] | None] = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def began(self, opened: Record, earlier: Sequence[Record]) -> None:
        """A target's deployment has begun."""
        with self._lock:
            first, self._begun[opened.target.app] = not self._begun, Begun.of(opened, earlier)
        if first and not self._is_own_pipeline():
            self._later(lambda: self._post(statuses.running(self.environment.name, self._url)))

    def ended(self, done: Sequence[Done]) -> None:
        """Tell how it ended, and wait until that is told."""
        if not any(each.record and each.record.cause in _DEPLOYED for each in done):
            return
        self._later(lambda: self._record(done))
        status = statuses.ended(self.environment.name, self._url, done)
        if status:
            self._later(lambda: self._post(status))
        self._later(lambda: self._tell_sources(done))
        self._finish(_SECONDS)

    def broke_off(self) -> None:
        """The run ends before its time: what was said to be running is so no more."""
        if self._begun and not self._is_own_pipeline():
            self._later(lambda: self._post(statuses.broken_off(self.environment.name, self._url)))
            self._finish(_SHORTLY)

    # What is told

    def _record(self, done: Sequence[Done]) -> None:
        forge = self._forge()
        if forge is None:
            return
        if self._is_part(done):
            self.places.run.output.detail(
                f"The forge keeps deployments of whole environments: none of {self.environment.name} is recorded "
                "there, since apps were left out."
            )
            return
        try:
            record_at_forge(forge, self._ci, self.environment, self.place.revision, self._ref, done)
        except CiGitopsError as error:
            self._tell("The forge keeps no record of this deployment", error)

    def _is_part(self, done: Sequence[Done]) -> bool:
        """Whether the pass left apps out: to say that the environment is at this commit would be untrue for those."""
        settings, name = self.place.settings, self.environment.name
        declared = {target.app for target in settings.targets([name], paths=self.place.tree.files())}
        return bool(self.ask.apps) and not declared <= {each.target.app for each in done}

    def _post(self, status: CommitStatus, project: str | None = None, sha: str | None = None) -> None:
        """Set a status on the config commit, or on one of an application's project."""
        forge = self._forge(project)
        if forge is None or project in self._silent:
            return
        try:
            forge.set_status(sha or self.place.revision, status, ref=self._ref if sha is None else self._ref_of(sha))
        except CiGitopsError as error:
            if isinstance(error, RefusedError):
                self._silent.add(project)
            what = f"the commit {(sha or self.place.revision)[:12]}{f' of {project}' if project else ''}"
            self._tell(f"The forge takes no status of {what}", error)

    def _tell_sources(self, done: Sequence[Done]) -> None:
        if self._forge() is None:
            return
        for one in statuses.of_sources(self.places, self.place, self.ask, self._begun, done, self._url):
            self._post(one.status, one.project, one.sha)

    # Whom and where

    def _forge(self, project: str | None = None) -> Forge | None:
        """The forge of the config repository, or that of another project there; None where there is nobody to tell."""
        if project not in self._forges:
            self._forges[project] = self._opened(project)
        return self._forges[project]

    def _opened(self, project: str | None) -> Forge | None:
        run = self.places.run
        try:
            repository = self.places.repository(identity(run, self.place.url))
            kind = run.environ.get("CI_GITOPS_FORGE")
            forge = forge_for(run, repository, kind, config=self.place.settings.config, project=project)
        except UsageError as error:  # nothing says where merge requests are
            run.output.detail(error.message)
            return None
        return None if forge.kind == "local" else forge

    @property
    def _ci(self) -> CiFacts:
        return self.places.run.ci

    @property
    def _url(self) -> str:
        """Where more is to be seen: the job, else the environment itself."""
        return self._ci.job_url or self._ci.pipeline_url or self.environment.address or ""

    @property
    def _ref(self) -> str:
        place, settings = self.place, self.place.settings
        return self._ci.branch or (place.branch if place.branch != "HEAD" else None) or settings.branch or "main"

    def _ref_of(self, sha: str) -> str:
        """The branch of an application's commit, where this is its pipeline."""
        return self._ci.branch or "" if self._ci.commit == sha else ""

    def _is_own_pipeline(self) -> bool:
        """Whether GitLab shows this very job on the config commit: its pipeline would wait for what we say of it."""
        here = same_project(identity(self.places.run, self.place.url), self._ci.project_url)
        return self._ci.gitlab and here and self._ci.commit == self.place.revision

    def _tell(self, what: str, error: CiGitopsError) -> None:
        """Each trouble once; that a token may not is a choice of who made it."""
        output = self.places.run.output
        if error.message not in self._troubles:
            say = output.note if isinstance(error, RefusedError) else output.warn
            say(f"{what}: {error.message}")
        self._troubles.add(error.message)

    # The thread

    def _later(self, tell: Callable[[], None]) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="forge report", daemon=True)
                self._thread.start()
        self._work.put(tell)

    def _run(self) -> None:
        while tell := self._work.get():
            try:
                tell()
            except CiGitopsError as error:
                self._tell("The forge was not told of this deployment", error)

    def _finish(self, seconds: float) -> None:
        self._work.put(None)
        if self._thread:
            self._thread.join(seconds)
            if self._thread.is_alive():
                self.places.run.output.warn(
                    f"The forge was not told everything: it did not answer for {seconds:.0f} s."
                )
