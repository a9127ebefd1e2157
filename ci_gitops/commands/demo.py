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
from itertools import dropwhile, takewhile
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
_STAGING = ("--repo", "config.git", "--environment", "staging")
_PRODUCTION = ("--repo", "config.git", "--environment", "production")
_PROMOTE = ("promote", "--from", "staging", "--to", "production", "--repo", "config.git")
_KEPT = ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_CONFIG", "KUBECONFIG")


@command("demo", exits=(0, 1, 2))
@option("--keep", type=click.Path(path_type=Path), metavar="DIR", help="Make everything in DIR and leave it there.")
@option("--context", metavar="NAME", help="Deploy to the cluster of this kubeconfig context too.")
@pass_run
def cli(run: Run, /, keep: Path | None, context: str | None) -> Result:
    """Walk the whole road on this machine, with no account.

    From a commit to an image, an edit in a config repository and a deployment to a simulated cluster; promotion by a
    merge request with gates; then drift and healing, bad images and the ways back. Each step names the command that it
    runs.
    """
    with _folder(run, keep) as folder, ExitStack() as stack:
        registry = stack.enter_context(running_registry(folder / "registry", run.environ))
        stage = Stage.on(run, folder)
        image = f"{registry.host}/shop/web"
        commit = _repositories(stage, image)
        _image(stage, image, commit[:12])
        _staging(stage)
        _promotion(stage)
        _production(stage, context)
        _drift(stage)
        _never_healthy(stage, image)
        _next_release(stage, image)
        _way_back(stage)
        _history(stage)
    document = {"folder": str(keep) if keep else None, "steps": stage.steps}
    return Result("DemoResult", document, _what_next(keep, image, registry.again))


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

    def call(self, *words: str, code: int = 0, brief: bool = False) -> Result:
        """Run one of our commands as the command line would; `code` is the exit code that the story wants.

        `brief`: show only the first line of what it says.
        """
        line = f"ci-gitops {shlex.join(words)}"
        self.outer.note(styled("cyan", f"$ {line}"))
        loaded = import_module(f"ci_gitops.commands.{COMMANDS[words[0]][0]}").cli
        try:
            result: Result = loaded.main(list(words[1:]), prog_name=words[0], standalone_mode=False, obj=self.inner)
        except CiGitopsError as error:
            if error.exit_code != code or error.result is None:
                raise
            result = error.result
        self.say(result.text.partition("\n")[0] if brief else result.text)
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


def _image(stage: Stage, image: str, tag: str) -> None:
    """The image of the first commit."""
    stage.chapter("The commit becomes an image")
    _build(stage, image, tag)


def _build(stage: Stage, image: str, tag: str) -> None:
    """Built where an engine works, else a ready-made one; in the registry either way."""
    try:
        stage.call("build", "web", "--image", image, "--tag", tag, "--result", "build.json")
    except CiGitopsError as error:
        stage.say(error.message)
        folder, reference = stage.inner.cwd / "images" / tag, f"{image}:{tag}"
        page = (stage.inner.cwd / "web/index.html").read_text()
        digest = write_layout(folder, {**sample.application_files(), "index.html": page}, reference)
        document = {"image": image, "tags": [tag], "digest": digest, "ref": f"{reference}@{digest}"}
        (stage.inner.cwd / "build.json").write_text(json.dumps(document))
        host, _, repository = image.partition("/")
        push_layout(folder, host, repository, tag)
        stage.say("A ready-made image stands in for it, in the registry of this demo:", str(document["ref"]))


def _staging(stage: Stage) -> None:
    stage.chapter("Staging takes it at once: a commit on the branch, and nothing but the image changes")
    words = ("update", "--from", "build.json", *_STAGING)
    stage.call(*words, "--dry-run")
    stage.call(*words)
    stage.chapter(
        "What Git declares is deployed, to a simulated cluster in a file", "A real one is named by --context NAME."
    )
    stage.call("deploy", *_STAGING)


def _promotion(stage: Stage) -> None:
    stage.chapter(
        "Production takes what runs well in staging, by a merge request",
        "Its gates: healthy in staging, for a second (in life, for a day or two), and one approval.",
    )
    opened = stage.call(*_PROMOTE)
    lines = str(opened.document["mergeRequest"]["description"]).splitlines()
    rest = dropwhile(lambda line: not line.startswith("|"), lines)
    stage.say("", "What the merge request says begins with", *takewhile(lambda line: line.startswith("|"), rest), "")
    stage.call("gates", *_PRODUCTION)
    stage.call("merge", *_PRODUCTION, "--approve", "--wait")


def _production(stage: Stage, context: str | None) -> None:
    stage.chapter("Production is deployed")
    stage.call("deploy", *_PRODUCTION)
    stage.call("status", *_PRODUCTION, "--tree")
    if context:
        stage.call("deploy", *_PRODUCTION, "--context", context, "--no-wait")


def _drift(stage: Stage) -> None:
    stage.chapter("Somebody changes the cluster by hand: that is drift", "$ kubectl scale deployment web --replicas 5")
    cluster = Simulated(stage.inner.cwd / "production.json", "shop-production")
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 5},
              "metadata": {"name": "web", "namespace": "shop-production"}}  # fmt: skip
    cluster.apply(scaled, force=True, manager="kubectl-scale")
    cluster.close()
    stage.call("diff", *_PRODUCTION)
    stage.call("deploy", *_PRODUCTION)


def _never_healthy(stage: Stage, image: str) -> None:
    stage.chapter(
        "A bad image never gets healthy: it is taken back, in the cluster and in Git, and held",
        "The simulated cluster pulls no image whose tag says `broken`.",
    )
    stage.call("update", f"{image}:2.0-broken", *_STAGING)
    stage.call("deploy", *_STAGING, "--rollback-on-failure", code=4)
    stage.call("history", *_STAGING)


def _next_release(stage: Stage, image: str) -> None:
    folder = stage.inner.cwd / "web"
    (folder / "index.html").write_text(sample.NEXT_PAGE)
    commit = commit_folder(folder, "Say it louder", _PERSON, stage.inner.environ)
    stage.chapter(f"The next commit, {commit[:12]}, goes the same road")
    _build(stage, image, commit[:12])
    stage.call("update", "--from", "build.json", *_STAGING, brief=True)
    stage.call("deploy", *_STAGING, brief=True)
    stage.call(*_PROMOTE, brief=True)
    stage.call("merge", *_PRODUCTION, "--approve", "--wait", brief=True)
    stage.call("deploy", *_PRODUCTION, brief=True)


def _way_back(stage: Stage) -> None:
    stage.chapter("It is healthy, and customers do not like it: one command goes back, and holds it")
    stage.call("rollback", *_PRODUCTION, "--merge", "when-green")
    stage.call("deploy", *_PRODUCTION)
    stage.say("", "Staging still runs it. Nothing brings it again, until somebody releases it:")
    stage.call(*_PROMOTE)


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


def _what_next(keep: Path | None, image: str, registry: str) -> str:
    lines = [styled("bold", "What to try next")]
    if keep is None:
        lines.append("  ci-gitops demo --keep demo      the same, and leave everything in ./demo to play with")
    else:
        lines += [
            f"  cd {shlex.quote(str(keep))}",
            f"  {registry} 2>registry/log &      the registry again",
            "  git -C config.git log --patch main        what changed, byte by byte",
            f"  ci-gitops update {image}:2.0 --repo config.git --environment staging --dry-run",
            "  ci-gitops scan --repo config.git --environment staging --dry-run      what is newer in the registry",
            f"  ci-gitops release --repo config.git --environment production --image {image} --reason 'it was fine'",
            f"  ci-gitops {' '.join(_PROMOTE)}      now it goes to production again",
            "  ci-gitops gates --repo config.git --environment production      what it waits for",
        ]
    lines += [
        "  ci-gitops init --ci gitlab      in a repository of yours: looks at it and writes what it needs",
        "  ci-gitops --help                every command",
    ]
    return "\n" + "\n".join(lines)
