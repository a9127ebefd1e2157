"""The places where an environment's targets live, each opened once in a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.adapters.cluster.branch_files import BranchFiles
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.cluster.files import Files, LocalFiles
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.git import Repository
from ci_gitops.adapters.git_access import access_for
from ci_gitops.adapters.records import Ledger, open_ledger, this_run
from ci_gitops.core.targets import Target
from ci_gitops.errors import UsageError
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps import people
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.workplace import Workplace

FOLDER, SIMULATED = "dir:", "simulated:"


@dataclass(slots=True)
class Destinations:
    """Use as a context manager. A cluster is one for all targets; of a folder each target has its own part."""

    run: Run
    ask: Ask
    place: Workplace
    environment: EnvironmentSettings
    _cluster: Cluster | None = None
    _files: Files | None = None
    _folders: dict[Target, Directory] = field(default_factory=dict)

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
            if target not in self._folders:
                self._folders[target] = Directory(self._opened_files(address.removeprefix(FOLDER)), target)
            return self._folders[target]
        if self._cluster is None:
            self._cluster = self._opened_cluster(address)
        return self._cluster

    def ledger(self, cluster: Cluster, deadline: Deadline) -> Ledger:
        """The inventories and records of the environment there."""
        output = self.run.output
        return open_ledger(
            cluster,
            source=self.place.settings.name or self.place.url,
            environment=self.environment.name,
            namespace=self.ask.record_namespace,
            holder=this_run(self.run.ci.job_url),
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
        if address:
            openers: dict[str, Callable[[str, str | None], Cluster]] = {}
            for prefix, opener in openers.items():
                if address.startswith(prefix) and address != prefix:
                    return opener(address.removeprefix(prefix), namespace)
            raise UsageError(
                f"The destination {address!r} is not known.",
                hint="Write dir:PATH, dir:PATH@BRANCH or simulated:PATH, or use --context.",
            )
        if not (ask.context or ask.kubeconfig or declared):
            raise UsageError(
                f"The environment {self.environment.name!r} has no destination.",
                hint="Pass --context NAME or --destination dir:PATH, or set `destination` in .ci-gitops.yaml.",
            )
        context = ask.context or (declared.context if declared and not ask.kubeconfig else None)
        access = Access.from_environ(self.run.environ, context=context, kubeconfig=ask.kubeconfig)
        return Kubernetes(access, namespace)

    def _opened_files(self, path: str) -> Files:
        if self._files is None:
            if not path:
                raise UsageError("The destination dir: names no folder.", hint="Write dir:PATH or dir:PATH@BRANCH.")
            folder, at, branch = path.rpartition("@")
            self._files = self._branch_files(folder, branch) if at else LocalFiles(self.run.cwd / path)
        return self._files

    def _branch_files(self, folder: str, branch: str) -> Files:
        """A branch of the config repository, pushed with the credentials that read it."""
        run, ask = self.run, self.ask
        access = access_for(self.place.url, run.environ, ca_file=ask.ca_file, token_file=ask.token_file,
                            environment=self.environment.name)  # fmt: skip
        repository = Repository.open(self.place.url, access, progress=run.output.step, trace=run.output.command)
        return BranchFiles(repository, branch, folder, people.author(run))
