"""One rig for each forge that passes the contract suite: a project with a config repository, and people in it.

A new forge joins by a class here and its name in `FORGE_RIGS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, Protocol, Self

from ci_gitops.adapters.forges import open_forge
from ci_gitops.adapters.forges.base import Forge, Site
from ci_gitops.adapters.forges.documents import Documents
from ci_gitops.adapters.git import GitAccess, Person, RefUpdate, Repository
from tests.fakes.clock import Clock
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.rig.git_server import GitServer, run_git

FILES = {"apps/shop/kustomization.yaml": b"images: []\nreplicas: 1\n", "README.md": b"# Config\n"}


class ForgeRig(Protocol):
    """A project on one forge, with a repository `config` and people: robot, alice, bob, carol, owner, …"""

    server: GitServer
    rebases: bool  # where it cannot merge by fast-forward, the forge makes the commits anew
    deletes_by_itself: bool  # the branch of what is merged, where the project says so and whatever we ask

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def forge(self, person: str = "robot") -> Forge:
        """The forge as this person sees it, with nothing remembered."""
        ...

    def settings(self, **settings: object) -> None:
        """Set `mergeMethod`, `squash` or `removeSourceBranch` of the project."""
        ...

    def branch(self, name: str, files: Mapping[str, bytes], message: str = "Change") -> str:
        """Push a commit to the branch, which begins at main where it is new; its id."""
        ...

    def git(self, *arguments: str) -> str:
        """Bare git in the server's repository."""
        ...

    def approve(self, person: str, iid: int, head_sha: str) -> None:
        """As a person does: with the forge's own means."""
        ...

    def withdraw(self, person: str, iid: int) -> None:
        """Take one's approval back."""
        ...

    def pushed_by(self, person: str, head: str) -> None:
        """It was this person who pushed it, not robot."""
        ...

    def busy(self, head_sha: str) -> None:
        """A pipeline runs for this commit, where the forge has such, and merging waits for it."""
        ...

    def before_merge(self, callback: Callable[[], object]) -> None:
        """Called once, at the last moment before the next merge takes place."""
        ...


class _GitRig:
    """What the rigs share: the repository itself, as its server has it."""

    name = "config"
    rebases = False
    deletes_by_itself = False

    def __init__(self, server: GitServer) -> None:
        self.server = server
        self._stack = ExitStack()
        self._pushers: list[Documents] = []
        server.create(self.name, FILES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def branch(self, name: str, files: Mapping[str, bytes], message: str = "Change") -> str:
        if not self.server.head(self.name, name):
            self.git("update-ref", f"refs/heads/{name}", "refs/heads/main")
        return self.server.commit(self.name, files, message, name)

    def git(self, *arguments: str) -> str:
        return run_git("--git-dir", self.server.bare(self.name), *arguments).strip()


class LocalRig(_GitRig):
    """The local forge in a folder."""

    def forge(self, person: str = "robot") -> Forge:
        repository = self._stack.enter_context(Repository.open(self._address(), self._access()))
        forge = open_forge("local", repository, Person(person, f"{person}@example.com"))
        self._pushers.append(forge._documents)  # type: ignore[attr-defined]
        return forge

    def settings(self, **settings: object) -> None:
        forge = self.forge("owner")
        forge._documents.change("refs/ci-gitops/project", lambda data: {**data, **settings}, "Settings")  # type: ignore[attr-defined]

    def approve(self, person: str, iid: int, head_sha: str) -> None:
        self.forge(person).approve(iid, head_sha)

    def pushed_by(self, person: str, head: str) -> None:
        """Nobody knows that of a plain repository."""

    def withdraw(self, person: str, iid: int) -> None:
        """The local forge has no such button: somebody edits the record."""
        documents = self.forge(person)._documents  # type: ignore[attr-defined]

        def without(data: Mapping[str, Any]) -> Mapping[str, Any]:
            return {**data, "approvals": [one for one in data["approvals"] if one["user"] != person]}

        documents.change(f"refs/ci-gitops/merge-requests/{iid}/record", without, "Not approved any more")

    def busy(self, head_sha: str) -> None:
        """There are no pipelines; what is armed waits for the next `merge`."""

    def before_merge(self, callback: Callable[[], object]) -> None:
        documents = self._pushers[-1]
        push = documents.push

        def after_callback(updates: Iterable[RefUpdate]) -> bool:
            documents.push = push  # type: ignore[method-assign]
            callback()
            return push(updates)

        documents.push = after_callback  # type: ignore[method-assign]

    def _address(self) -> str:
        return str(self.server.bare(self.name))

    def _access(self) -> GitAccess:
        return GitAccess()


class LocalHttpRig(LocalRig):
    """The local forge on any Git server over HTTP."""

    def _address(self) -> str:
        return self.server.url(self.name)

    def _access(self) -> GitAccess:
        return GitAccess(user=self.server.user, token=self.server.password, source="CI_GITOPS_TOKEN")


class GitHubRig(_GitRig):
    """The fake of GitHub. `seconds` is how long it may be silent, in real time."""

    seconds = 20.0
    rebases = True
    deletes_by_itself = True

    def __init__(self, server: GitServer, name: str = "config") -> None:
        self.name = name
        super().__init__(server)
        self.fake = FakeGitHub(server, "octo/config", bare=self.name)
        self.told: list[str] = []

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        assert self.fake.breaches == []

    def forge(self, person: str = "robot", **more: Any) -> Forge:
        clock = self.fake.clock
        for name in (person, "alice", "bob", "carol"):
            self.fake.token(name)
        site = Site(
            self.server.base, self.fake.name, self.fake.token(person), "CI_GITOPS_TOKEN", tell=self.told.append,
            wait=clock.sleep, now=clock.now, clock=clock.now, seconds=self.seconds,
        )  # fmt: skip
        repository = self._stack.enter_context(self.repository())
        who = Person(person, f"{person}@example.com")
        return open_forge("github", repository, who, dataclasses.replace(site, **more))

    def repository(self) -> Repository:
        access = GitAccess(user=self.server.user, token=self.server.password, source="CI_GITOPS_TOKEN")
        return Repository.open(self.server.url(self.name), access)

    def settings(self, **settings: object) -> None:
        if "mergeMethod" in settings:
            for field, method in (
                ("merge_commit", "merge"),
                ("squash_merge", "squash"),
                ("rebase_merge", "fast-forward"),
            ):
                self.fake.settings[f"allow_{field}"] = settings["mergeMethod"] == method
        if "removeSourceBranch" in settings:
            self.fake.settings["delete_branch_on_merge"] = settings["removeSourceBranch"]

    def approve(self, person: str, iid: int, head_sha: str) -> None:
        self.fake.review(person, iid, "APPROVED", head_sha)

    def pushed_by(self, person: str, head: str) -> None:
        self.fake.pushers[head] = person

    def withdraw(self, person: str, iid: int) -> None:
        self.fake.review(person, iid, "DISMISSED")

    def busy(self, head_sha: str) -> None:
        self.fake.rules.statuses.append("ci-gitops/gates")

    def before_merge(self, callback: Callable[[], object]) -> None:
        self.fake.before_merge = callback


class GitLabRig(_GitRig):
    """A project on the fake of GitLab. `seconds` is how long it may be silent, in real time."""

    seconds = 20.0

    def __init__(self, server: GitServer, name: str = "config") -> None:
        self.name = name
        super().__init__(server)
        self.clock = Clock()
        self.gitlab = FakeGitLab(server, self.clock, repository=name)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        if error[0] is None:
            assert not self.gitlab.breaches, "\n".join(self.gitlab.breaches)

    def forge(self, person: str = "robot") -> Forge:
        user = self.gitlab.state.user(person)
        repository = self._stack.enter_context(self.repository())
        return open_forge("gitlab", repository, Person(person, f"{person}@example.com"), self.site(user.token))

    def repository(self) -> Repository:
        access = GitAccess(user=self.server.user, token=self.server.password, source="CI_GITOPS_TOKEN")
        return Repository.open(self.server.url(self.name), access)

    def site(self, token: str, source: str = "CI_GITOPS_TOKEN") -> Site:
        clock = self.clock
        return Site(
            self.server.base, self.gitlab.state.path, token, source, wait=clock.sleep, now=clock.now, clock=clock.now,
            seconds=self.seconds,
        )  # fmt: skip

    def settings(self, **settings: object) -> None:
        rules = self.gitlab.rules
        for name, value in settings.items():
            match name:
                case "mergeMethod":
                    rules.merge_method = {"fast-forward": "ff", "merge": "merge", "squash": "merge"}[str(value)]
                case "squash":
                    rules.squash_option = "default_on" if value else "default_off"
                case "removeSourceBranch":
                    rules.remove_source_branch = bool(value)

    def approve(self, person: str, iid: int, head_sha: str) -> None:
        self.gitlab.approve(person, iid)

    def pushed_by(self, person: str, head: str) -> None:
        self.gitlab.state.pushers[head] = person

    def withdraw(self, person: str, iid: int) -> None:
        self.gitlab.unapprove(person, iid)

    def busy(self, head_sha: str) -> None:
        self.gitlab.rules.pipelines_must_succeed = True
        self.gitlab.pipeline(head_sha, "running")

    def before_merge(self, callback: Callable[[], object]) -> None:
        self.gitlab.merging.before = callback


FORGE_RIGS: dict[str, Callable[[GitServer], ForgeRig]] = {
    "local": LocalRig,
    "local-http": LocalHttpRig,
    "github": GitHubRig,
    "gitlab": GitLabRig,
}
#: Rigs that are another one's forge, reached differently.
SLOWER_WAYS = ("local-http",)
