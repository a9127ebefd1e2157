"""The places where an environment's targets live, each opened once in a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.git import CommitInfo
from ci_gitops.adapters.patience import LONGEST_IN_ALL
from ci_gitops.adapters.records import Ledger, open_ledger, this_run
from ci_gitops.core.targets import Target
from ci_gitops.errors import UsageError
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.rendered_files import FOLDER, open_files
from ci_gitops.steps.workplace import Workplace

if TYPE_CHECKING:  # each run needs one of them
    from ci_gitops.adapters.cluster.directory import Directory
    from ci_gitops.adapters.cluster.files import Files

SIMULATED = "simulated:"


def preload(run: Run, ask: Ask) -> None:
    """Import what a cluster needs while Git is asked, where it may be one: something here leads to one."""
    environ = run.environ
    leads = ask.context or ask.kubeconfig or environ.get("KUBECONFIG") or environ.get("KUBERNETES_SERVICE_HOST")
    if not ask.destination and (leads or (Path(environ.get("HOME") or "/") / ".kube" / "config").exists()):
        Thread(target=_preload, daemon=True).start()


def _preload() -> None:
    from ci_gitops.adapters.cluster.kubernetes import preload

    preload()


@dataclass(slots=True)
class Destinations:
    """Use as a context manager. A cluster is one for all targets; of a folder each target has its own part."""

    run: Run
    ask: Ask
    place: Workplace
    environment: EnvironmentSettings
    timeout: float = LONGEST_IN_ALL  # of the whole run: trouble with a cluster is given up by then
    _cluster: Cluster | None = None
    _files: Files | None = None
    _folders: dict[tuple[str, str], Directory] = field(default_factory=dict)

    def __enter__(self) -> Destinations:
        return self

    def __exit__(self, *error: object) -> None:
        for opened in (self._cluster, self._files):
            if opened is not None:
                opened.close()

    def of(self, target: Target) -> Cluster:
        """Where a target lives; UsageError where nothing says it."""
        address = self._address()
        if address and address.startswith(FOLDER):
            from ci_gitops.adapters.cluster.directory import Directory

            name = (target.environment, target.app)  # wherever its files have moved to
            if name not in self._folders:
                self._folders[name] = Directory(self._opened_files(address), target)
            return self._folders[name]
        if self._cluster is None:
            self._cluster = self._opened_cluster(address)
        return self._cluster

    def ledger(self, cluster: Cluster, deadline: Deadline, commit: CommitInfo | None = None) -> Ledger:
        """The inventories and records of the environment there; `commit` is what is brought."""
        brought = (commit.sha, commit.time) if commit else ("", 0)
        output = self.run.output
        return open_ledger(
            cluster,
            source=self.place.settings.name or self.place.url,
            environment=self.environment.name,
            namespace=self.ask.record_namespace,
            holder=this_run(self.run.ci.job_url, *brought),
            deadline=deadline,
            tell=output.warn,
            step=output.step,
        )

    def _address(self) -> str | None:
        declared = self.environment.destination
        elsewhere = self.ask.context or self.ask.kubeconfig
        return self.ask.destination or (None if elsewhere or declared is None else declared.to)

    def _opened_cluster(self, address: str | None) -> Cluster:
        declared, ask = self.environment.destination, self.ask
        namespace = declared.namespace if declared else None
        if address and address.startswith(SIMULATED) and address != SIMULATED:
            from ci_gitops.adapters.cluster.simulated import Simulated

            return Simulated(self.run.cwd / Path(address.removeprefix(SIMULATED)).expanduser(), namespace)
        if address:
            raise UsageError(
                f"The destination {address!r} is not known.",
                hint="Write dir:PATH, dir:PATH@BRANCH or simulated:PATH, or use --context.",
            )
        if not (ask.context or ask.kubeconfig or declared):
            raise UsageError(
                f"The environment {self.environment.name!r} has no destination.",
                hint=f"Pass --context NAME or --destination dir:PATH, or set `{self._setting()}` in .ci-gitops.yaml.",
            )
        from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes

        context = ask.context or (declared.context if declared and not ask.kubeconfig else None)
        access = Access.from_environ(self.run.environ, context=context, kubeconfig=ask.kubeconfig)
        patience = min(LONGEST_IN_ALL, self.timeout)
        return Kubernetes(access, namespace, tell=self.run.output.warn, patience=patience)

    def _setting(self) -> str:
        is_preview = self.environment.name in self.place.settings.preview_environments
        return "previews.destination" if is_preview else "destination"

    def _opened_files(self, address: str) -> Files:
        if self._files is None:
            self._files = open_files(self.run, self.ask.reach, self.place, self.environment.name, address)
        return self._files

    def kept(self, deadline: Deadline) -> tuple[Target, ...]:
        """The targets that a folder holds; none for a cluster, which is asked as a whole."""
        if not (self._address() or "").startswith(FOLDER):
            return ()
        anything = self.of(Target("any", self.environment.name, "."))
        return tuple(each.target for each in self.ledger(anything, deadline).inventories() if not each.problem)

    def publish(self, message: str, targets: Sequence[Target]) -> None:
        """What is left to be pushed of these targets."""
        folders = [folder for target in targets if (folder := self._folders.get((target.environment, target.app)))]
        if self._files is not None and folders:
            self._files.publish(message, tuple(part for folder in folders for part in folder.parts))
