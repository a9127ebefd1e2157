"""`ci-gitops demo`: the whole road on this machine, by the same commands and the same code as on any other."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from ci_gitops.adapters.cluster.simulated import Simulated
from ci_gitops.adapters.git import Person, RefUpdate, Repository, commit_folder, create_bare
from ci_gitops.adapters.git_access import access_for
from ci_gitops.adapters.oci_layout import push_layout, write_layout
from ci_gitops.adapters.process import clean_environment
from ci_gitops.adapters.registry_server import running_registry
from ci_gitops.commands import COMMANDS
from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.core import sample
from ci_gitops.errors import CiGitopsError, UsageError
from ci_gitops.output import Output, styled
from ci_gitops.results import Result
from ci_gitops.run import Run

_PERSON = Person("Ada", "ada@example.com")
_KEPT = ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_CONFIG", "KUBECONFIG")


@command("demo", exits=(0, 1, 2))
@option("--keep", type=click.Path(path_type=Path), metavar="DIR", help="Make everything in DIR and leave it there.")
@option("--context", metavar="NAME", help="Deploy to the cluster of this kubeconfig context too.")
@pass_run
def cli(run: Run, /, keep: Path | None, context: str | None) -> Result:
    """Walk the whole road on this machine, with no account.

    From a commit to an image, an edit in a config repository, a merge request, its merge and a deployment to a
    simulated cluster; then drift and healing, a bad image and the way back. Each step names the command that it runs.
    """
    with _folder(run, keep) as folder, ExitStack() as stack:
        host = stack.enter_context(running_registry(folder / "registry", run.environ))
        stage = Stage.on(run, folder)
        image = f"{host or 'registry.example.com'}/shop/web"
        commit = _repositories(stage, image)
        _image(stage, image, commit[:12], host)
        _staging(stage)
        _production(stage)
        _deployment(stage, context)
        _drift(stage)
        _way_back(stage, image)
        _history(stage)
    return Result("DemoResult", {"folder": str(keep) if keep else None, "steps": stage.steps}, _what_next(keep, image))


@dataclass(slots=True)
class Stage:
    """Where the demo plays: a folder, and a run of its own that knows nothing of this job's CI and settings."""

    outer: Output
    inner: Run
    steps: list[dict[str, Any]] = field(default_factory=list)
    _number: int = 0

    @classmethod
    def on(cls, run: Run, folder: Path) -> Stage:
        outer = run.output
        quiet = Output(verbosity=min(outer.verbosity, 0) - 1, colour=outer.colour, out=outer.err, err=outer.err)
        # What buildah keeps goes with the folder; Docker's daemon keeps the image as after any build.
        storage = folder / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/layers"\nrunroot = "{folder}/layers/run"\n'
        )
        person = {"GITLAB_USERNAME": _PERSON.name, "GITLAB_EMAIL": _PERSON.email}
        environ = {**clean_environment(run.environ, *_KEPT), **person, "CONTAINERS_STORAGE_CONF": str(storage)}
        return cls(outer, Run(environ, folder, None, quiet))

    def chapter(self, title: str, *lines: str) -> None:
        self._number += 1
        self.outer.note("\n" + styled("bold", f"{self._number}. {title}"))
        self.say(*lines)

    def say(self, *texts: str) -> None:
        for line in "\n".join(texts).splitlines():
            self.outer.note(f"   {line}")

    def call(self, *words: str, code: int = 0) -> Result:
        """Run one of our commands as the command line would; `code` is the exit code that the story wants."""
        line = f"ci-gitops {shlex.join(words)}"
        self.outer.note(styled("cyan", f"$ {line}"))
        loaded = import_module(f"ci_gitops.commands.{COMMANDS[words[0]][0]}").cli
        try:
            result: Result = loaded.main(list(words[1:]), prog_name=words[0], standalone_mode=False, obj=self.inner)
        except CiGitopsError as error:
            if error.exit_code != code or error.result is None:
                raise
            result = error.result
        self.say(result.text)
        self.steps.append({"command": line, "kind": result.kind, "result": dict(result.document)})
        return result


def _repositories(stage: Stage, image: str) -> str:
    """Both repositories; the commit of the application."""
    folder, environ = stage.inner.cwd, stage.inner.environ
    for path, text in sample.application_files().items():
        (folder / "web").mkdir(exist_ok=True)
        (folder / "web" / path).write_text(text)
    commit = commit_folder(folder / "web", "Say hello", _PERSON, environ)
    kustomize = any(shutil.which(name, path=environ.get("PATH")) for name in ("kustomize", "kubectl"))
    files = sample.kustomize_files(image) if kustomize else sample.plain_files(image)
    config = folder / "config.git"
    create_bare(config, environ)
    with Repository.open(str(config), access_for(str(config), environ)) as repository:
        blobs = {path: text.encode() for path, text in files.items()}
        first = repository.commit([], blobs, "Run the shop", author=_PERSON, committer=_PERSON)
        repository.push([RefUpdate("refs/heads/main", first, "")])
    where = "apps/shop/overlays" if kustomize else "environments"
    stage.chapter(
        "An application, and a config repository that declares where it runs",
        f"{folder}/web         a Dockerfile and a page, at commit {commit[:12]}",
        f"{folder}/config.git  {where}/{{staging,production}}: both run web:{sample.FIRST_TAG}",
    )
    return commit


def _image(stage: Stage, image: str, tag: str, host: str | None) -> None:
    """The image of the commit: built where an engine works, else a ready-made one; pushed where a registry is."""
    stage.chapter("The commit becomes an image")
    push = () if host else ("--no-push",)
    try:
        stage.call("build", "web", "--image", image, "--tag", tag, *push, "--result", "build.json")
    except CiGitopsError as error:
        stage.say(error.message)
        folder, reference = stage.inner.cwd / "image", f"{image}:{tag}"
        digest = write_layout(folder, sample.application_files(), reference)
        document = {"image": image, "tags": [tag], "digest": digest, "ref": f"{reference}@{digest}"}
        (stage.inner.cwd / "build.json").write_text(json.dumps(document))
        stage.say(f"A ready-made image stands in for it, in the OCI layout {folder}:", str(document["ref"]))
        if host:
            push_layout(folder, host, image.removeprefix(f"{host}/"), tag)
            stage.say(f"It is pushed to the registry {host}, which runs as long as this demo.")


def _staging(stage: Stage) -> None:
    stage.chapter("Staging takes it at once: a commit on the branch, and nothing but the image changes")
    words = ("update", "--from", "build.json", "--repo", "config.git", "--environment", "staging")
    stage.call(*words, "--dry-run")
    stage.call(*words)


def _production(stage: Stage) -> None:
    stage.chapter("Production takes it by a merge request")
    stage.call("update", "--from", "build.json", "--repo", "config.git", "--environment", "production")
    stage.call("merge", "--repo", "config.git", "--environment", "production", "--approve")


def _deployment(stage: Stage, context: str | None) -> None:
    stage.chapter(
        "What Git declares is deployed, to a simulated cluster in a file", "A real one is named by --context NAME."
    )
    words = ("--repo", "config.git", "--environment", "production")
    stage.call("deploy", *words)
    stage.call("status", *words, "--tree")
    if context:
        stage.call("deploy", *words, "--context", context, "--no-wait")


def _drift(stage: Stage) -> None:
    stage.chapter("Somebody changes the cluster by hand: that is drift", "$ kubectl scale deployment web --replicas 5")
    cluster = Simulated(stage.inner.cwd / "production.json", "shop-production")
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 5},
              "metadata": {"name": "web", "namespace": "shop-production"}}  # fmt: skip
    cluster.apply(scaled, force=True, manager="kubectl-scale")
    cluster.close()
    words = ("--repo", "config.git", "--environment", "production")
    stage.call("diff", *words)
    stage.call("deploy", *words)


def _way_back(stage: Stage, image: str) -> None:
    stage.chapter(
        "A bad image never gets healthy: it is taken back, in the cluster and in Git, and held",
        "The simulated cluster pulls no image whose tag says `broken`.",
    )
    words = ("--repo", "config.git", "--environment", "staging")
    stage.call("deploy", *words)
    stage.call("update", f"{image}:2.0-broken", *words)
    stage.call("deploy", *words, "--rollback-on-failure", code=4)
    stage.call("history", *words)


def _history(stage: Stage) -> None:
    config = str(stage.inner.cwd / "config.git")
    with Repository.open(config, access_for(config, stage.inner.environ)) as repository:
        head = repository.fetch("main")
        repository.deepen("main", 20)
        commits = repository.log(head, 20)
    stage.chapter("Git keeps who changed what, and when")
    stage.say(*(f"{styled('yellow', commit.sha[:12])} {commit.subject}" for commit in commits))


@contextmanager
def _folder(run: Run, keep: Path | None) -> Iterator[Path]:
    """The folder to keep, which must be new or empty, or one that is gone at the end."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="ci-gitops-demo-") as name:
            yield Path(name)
        return
    folder = (run.cwd / keep).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{keep} is not an empty folder.", hint="Name a folder that is not there yet.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{keep} cannot be made: {error.strerror}.") from error
    yield folder


def _what_next(keep: Path | None, image: str) -> str:
    lines = [styled("bold", "What to try next")]
    if keep is None:
        lines.append("  ci-gitops demo --keep demo      the same, and leave everything in ./demo to play with")
    else:
        lines += [
            f"  cd {shlex.quote(str(keep))}",
            "  git -C config.git log --patch main        what changed, byte by byte",
            f"  ci-gitops update {image}:2.0 --repo config.git --environment staging --dry-run",
        ]
    lines += [
        "  ci-gitops init --ci gitlab      in a repository of yours: looks at it and writes what it needs",
        "  ci-gitops --help                every command",
    ]
    return "\n" + "\n".join(lines)
