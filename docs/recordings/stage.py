"""Where recordings are made: a shop on a GitLab with its registry, kustomize, simulated clusters, and a clock.

with stage() as shop:
    lines = shop.types("ci-gitops status …")        # what stands on the screen then
    shop.later(hours=24)

Everything lies in one folder whose name is always the same, since the program shows it. The GitLab is the tests' fake
over real Git; both servers are reached by their names, through a proxy.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ci_gitops.adapters.registry_server import running_registry
from docs.recordings.terminal import Run, shown
from tests.fakes.clock import Clock
from tests.fakes.gitlab import FakeGitLab
from tests.rig.git_server import GitServer, run_git
from tests.rig.named_hosts import named_hosts
from tests.rig.parts import program
from tests.rig.registry import RegistryServer
from tests.rig.renderers import HOW

ROOT = Path(__file__).parents[2]
FOLDER = Path("/tmp/shop")  # noqa: S108  # it is shown
IMAGE = "registry.example.com/shop/web"
_SOURCE = "https://gitlab.example.com/shop/web"
_GITLAB, _REGISTRY = "gitlab.example.com", "registry.example.com"
_BEGIN = datetime(2026, 11, 16, 9, 30, tzinfo=UTC)  # a Monday


@dataclass
class Stage:
    gitlab: FakeGitLab
    registry: RegistryServer
    environ: Mapping[str, str]
    screens: dict[str, Sequence[Sequence[Run]]] = field(default_factory=dict)  # by what was typed

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.gitlab.clock.now(), UTC)

    def later(self, **much: float) -> None:
        self.gitlab.clock.advance(timedelta(**much).total_seconds())

    def types(self, command: str, code: int = 0, columns: int = 100) -> Sequence[Sequence[Run]]:
        """A line of shell at the prompt, and what it says; it must end with `code`. A minute goes by."""
        environ = {**self.environ, "RECORDING_TIME": self.now.isoformat()}
        ended, lines = shown(command, columns, FOLDER, environ)
        if ended != code:
            raise RuntimeError("\n".join([f"$ {command}", *("".join(run.text for run in line) for line in lines)]))
        self.later(minutes=1)
        self.screens[command] = [(Run("$ ", "2"), Run(command, "1")), *lines]
        return self.screens[command]

    def commit(self, repository: str, files: Mapping[str, str], message: str) -> str:
        """Somebody's own commit, pushed."""
        checkout = FOLDER / "work" / repository
        if not checkout.exists():
            run_git("init", "--quiet", "--initial-branch=main", checkout)
        if self.gitlab.git.head(repository):
            run_git("-C", checkout, "pull", "--quiet", "--rebase", self.gitlab.git.bare(repository), "main")
        for path, text in files.items():
            (checkout / path).parent.mkdir(parents=True, exist_ok=True)
            (checkout / path).write_text(text)
        run_git("-C", checkout, "add", "--all")
        run_git("-C", checkout, "commit", "--quiet", "--message", message, env=self.commits_as())
        run_git("-C", checkout, "push", "--quiet", self.gitlab.git.bare(repository), "HEAD:main")
        return run_git("-C", checkout, "rev-parse", "HEAD").strip()

    def build(self, tag: str, *messages: str) -> str:
        """An image of commits with these messages, in the registry; its digest."""
        for message in messages:
            revision = self.commit("shop/web", {"index.html": f"<h1>{message}</h1>\n"}, message)
            self.later(minutes=1)
        labels = {"source": _SOURCE, "revision": revision, "version": tag}
        said = {f"org.opencontainers.image.{name}": label for name, label in labels.items()}
        return self.registry.push("shop/web", tag, said)

    def commits_as(self) -> Mapping[str, str]:
        who = {"NAME": "Ada", "EMAIL": "ada@example.com", "DATE": f"{self.gitlab.clock.now():.0f} +0000"}
        return {f"GIT_{role}_{what}": said for role in ("AUTHOR", "COMMITTER") for what, said in who.items()}


@contextmanager
def stage() -> Iterator[Stage]:
    """Two empty repositories, `shop/web` and `shop/config`, and Ada."""
    with ExitStack() as stack:
        stack.enter_context(_folder())
        server = stack.enter_context(GitServer(FOLDER, name=f"https://{_GITLAB}"))
        registry = stack.enter_context(running_registry(FOLDER / "registry", {"PATH": ""})).host
        ports = {_GITLAB: server.port, _REGISTRY: int(registry.rpartition(":")[2])}
        proxy = stack.enter_context(named_hosts(ports, FOLDER / "ca.pem"))
        for name in ("shop/web", "shop/config"):
            server.create(name)
        gitlab = FakeGitLab(server, Clock(_BEGIN.timestamp()), "shop/config", held_to_spec=False,
                            commits_as=lambda: made.commits_as())  # fmt: skip
        gitlab.state.path = "shop/config"
        server.password = gitlab.state.user("ada").token
        environ = {
            "PATH": _programs(), "HOME": str(FOLDER), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8",
            "https_proxy": proxy, "CI_SERVER_TLS_CA_FILE": str(FOLDER / "ca.pem"), "CI_GITOPS_CACHE_DIR": "",
            "CI_GITOPS_REPO": server.url("shop/config"), "CI_GITOPS_FORGE": "gitlab",
            "CI_GITOPS_TOKEN": server.password, "GITLAB_USERNAME": "Ada", "GITLAB_EMAIL": "ada@example.com",
        }  # fmt: skip
        made = Stage(gitlab, RegistryServer(registry, FOLDER), environ)
        yield made


@contextmanager
def _folder() -> Iterator[None]:
    """For one at a time; what a killed one left is taken away."""
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        try:
            yield
        finally:
            shutil.rmtree(FOLDER)


def _programs() -> str:
    """A PATH with ci-gitops under the clock, and the few programs that it needs."""
    folder = FOLDER / "bin"
    folder.mkdir()
    runs = f"{shlex.quote(sys.executable)} -P -m docs.recordings.fixed_clock"
    (folder / "ci-gitops").write_text(f'#!/bin/sh\nexec {runs} "$@"\n')
    (folder / "ci-gitops").chmod(0o755)
    for name in ("git", "kustomize"):
        (folder / name).symlink_to(program(name, HOW[name]))
    return f"{folder}:{os.defpath}"
