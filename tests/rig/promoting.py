"""A config repository with staging and production, whose deployments are written down as a test wants them.

road.deployed("shop", f"{road.web}:2")       # a healthy deployment in staging, in a simulated cluster's records
road("--app", "shop")                        # `promote --to production`, in this process
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ci_gitops.adapters.cluster.simulated import Simulated
from ci_gitops.adapters.records import open_ledger
from ci_gitops.cli import cli
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.records import Failure, Outcome, open_record, stamp
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError
from ci_gitops.output import Output
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.promote import PromoteCall, promote
from tests.rig.git_server import BareRepositories
from tests.rig.registry import RegistryServer

PATH = "apps/{app}/overlays/{environment}/kustomization.yaml"
_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {app}}}
spec:
  selector: {{matchLabels: {{app: {app}}}}}
  template:
    metadata: {{labels: {{app: {app}}}}}
    spec:
      containers:
      - {{name: main, image: web}}
      - {{name: cache, image: "redis:7"}}
"""


@dataclass
class Done:
    """How one call ended."""

    code: int
    result: Result | None
    error: CiGitopsError | None = None
    said: str = ""

    @property
    def json(self) -> Mapping[str, Any]:
        assert self.result, self.error
        return self.result.document

    @property
    def text(self) -> str:
        return self.result.text if self.result else ""


@dataclass
class Road:
    """Two environments of one config repository in a folder, with the local forge."""

    folder: Path
    registry: RegistryServer
    apps: Sequence[str] = ("shop",)
    production: str = "write: push"
    staging: str = ""  # default: a destination `simulated:`
    more: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    name: str = "config"
    forge: str = "local"
    server: BareRepositories = field(default_factory=lambda: BareRepositories(Path()))  # default: in `folder`
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.server.root == Path():
            self.server = BareRepositories(self.folder / "server")
            self.server.root.mkdir(exist_ok=True)
        staging = self.staging or f"destination: 'simulated:{self.cluster}'"
        config = (
            f"name: acme\nenvironments:\n  staging: {{{staging}}}\n  production: {{{self.production}}}\n{self.more}"
        )
        files = {".ci-gitops.yaml": config.encode(), **self.files}
        for app in self.apps:
            files |= {path: text.encode() for path, text in self.declared(app).items()}
        self.server.create(self.name, files)

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster.json"

    @property
    def web(self) -> str:
        return self.registry.image("promoted/web")

    def declared(self, app: str) -> dict[str, str]:
        """Its base and overlays, all at version 1."""
        base = f"apps/{app}/base"
        overlay = f"resources: [../../base]\nimages:\n- name: web\n  newName: {self.web}\n  newTag: '1'\n"
        return {
            f"{base}/deployment.yaml": _DEPLOYMENT.format(app=app),
            f"{base}/kustomization.yaml": "resources: [deployment.yaml]\n",
            **{PATH.format(app=app, environment=name): overlay for name in ("staging", "production")},
        }

    def push(self, tag: str, repository: str = "promoted/web") -> str:
        """An image in the registry; its digest."""
        return self.registry.push(repository, tag, {"version": f"{repository}:{tag}"})

    def deployed(self, app: str, *images: str, outcome: Outcome = "succeeded", minutes: int = 10, **more: Any) -> str:
        """A deployment to staging that began so many minutes ago; its revision."""
        target = Target(app, "staging", f"apps/{app}/overlays/staging")
        cluster = Simulated(self.cluster, "default")
        said: list[str] = []
        ledger = open_ledger(cluster, source="acme", environment="staging", tell=said.append, step=said.append)
        start = datetime.now(UTC) - timedelta(minutes=minutes)
        revision = self.server.head(self.name)
        assert revision
        opened = open_record(Inventory(target, "acme", "default"), (), now=start, revision=revision,
                             rendered=f"sha256:{minutes}")  # fmt: skip
        failure = Failure("degraded", "Deployment shop: no pod is ready.") if outcome == "failed" else None
        finished = None if outcome == "running" else stamp(start + timedelta(minutes=1))
        record = replace(opened, outcome=outcome, finished=finished, images=images, failure=failure, **more)
        ledger.write(record)
        cluster.close()
        assert not said
        return revision

    def run(self) -> tuple[Run, io.StringIO]:
        said = io.StringIO()
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.variables}
        return Run(environ=environ, cwd=self.folder, output=Output(err=said, out=said)), said

    def __call__(self, **options: Any) -> Done:
        run, said = self.run()
        call = PromoteCall(**{"to": "production", "repo": self.server.url(self.name), "forge": self.forge, **options})
        try:
            return Done(0, promote(run, call), said=said.getvalue())
        except CiGitopsError as error:
            return Done(error.exit_code, error.result, error, said.getvalue())

    def command(self, *words: object) -> Any:
        """The result of any other command on this repository."""
        run, _ = self.run()
        given = [*map(str, words), "--repo", self.server.url(self.name)]
        return cli.main(given, prog_name="ci-gitops", standalone_mode=False, obj=run)

    def read(self, app: str = "shop", environment: str = "production", branch: str = "main") -> str:
        return self.server.read(self.name, PATH.format(app=app, environment=environment), branch).decode()

    def branches(self) -> list[str]:
        found = self.server.refs(self.name)
        return sorted(ref.removeprefix("refs/heads/") for ref in found if ref.startswith("refs/heads/ci-gitops/"))
