"""A config repository opened at the head of one branch, under the configuration that rules there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from ci_gitops.adapters.git import Repository
from ci_gitops.adapters.git_access import access_for, environment_variable
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.core.targets import with_parents
from ci_gitops.errors import EditError
from ci_gitops.run import Run
from ci_gitops.steps.locate import Place, app_name, find_place, identity

if TYPE_CHECKING:
    from ci_gitops.core.inputs import Inputs
    from ci_gitops.settings import Config, EnvironmentSettings, Settings

#: Imported while the server answers the first question: together they take about as long.
_MEANWHILE = ("ci_gitops.settings", "ci_gitops.core.updates", "ci_gitops.core.messages", "ci_gitops.core.mergerequests")


@dataclass(frozen=True, slots=True)
class Reach:
    """How repositories are reached: the options that all commands with `--repo` share."""

    repo: str | None = None
    branch: str | None = None
    ca_file: Path | None = None
    token_file: Path | None = None
    timeout: float = 100.0  # seconds for trouble with one server


@dataclass(frozen=True)
class RepositoryTree:
    """The files of one revision, read from the server when they are first needed."""

    repository: Repository
    revision: str

    @cached_property
    def _there(self) -> frozenset[str]:
        return with_parents(self.files())

    def holds(self, path: str) -> bool:
        return path in self._there

    def files(self) -> tuple[str, ...]:
        return self.repository.paths(self.revision)

    def read(self, paths: Iterable[str]) -> Mapping[str, str]:
        blobs = self.repository.read(self.revision, list(paths))
        return {path: decode(blob, path) for path, blob in blobs.items()}


def decode(blob: bytes, path: str) -> str:
    """The text of a file, byte for byte: BOM and line ends stay."""
    try:
        return blob.decode()
    except UnicodeDecodeError as error:
        raise EditError(f"{path} is not UTF-8 text (byte {error.start}); it is not edited.") from error


@dataclass(frozen=True)
class Workplace:
    """One branch of one config repository at its head. `settings` are those that rule at `revision`.

    `policy` is where the rules were read that the revision cannot make for itself (holds, too); None: at the revision.
    """

    repository: Repository
    url: str
    branch: str
    revision: str
    settings: Settings
    tree: RepositoryTree
    policy: RepositoryTree | None = None
    warnings: tuple[str, ...] = ()  # what a reviewer should know before anything else

    @property
    def rules(self) -> RepositoryTree:
        """The tree whose rules count."""
        return self.policy or self.tree

    @cached_property
    def keys(self) -> frozenset[str]:
        """The files that say whose images count, and the links that lead to them."""
        repository, rules = self.rules.repository, self.rules.revision
        return frozenset(each for key in self.settings.keys for each in (key, *repository.trail(rules, key)))

    @cached_property
    def inputs(self) -> Inputs:
        """What its targets are rendered from."""
        from ci_gitops.steps.inputs import inputs_of  # only who judges waits for the renderers to load

        return inputs_of(self)


@dataclass
class Workplaces:
    """The repositories of one run, each opened once and closed at the end."""

    run: Run
    reach: Reach
    opened: Workplace | None = None  # the root, as it was when it was opened last
    _stack: ExitStack = field(default_factory=ExitStack)
    _open: dict[tuple[str, str | None], Repository] = field(default_factory=dict)
    _noted: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)  # of what is opened from several threads

    def __enter__(self) -> Workplaces:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def root(self) -> Workplace:
        """The config repository that the run names, at the branch that it names."""
        place = find_place(self.run, self.reach.repo, self.reach.branch)
        self.run.output.detail(f"Config repository: {place.url} (from {place.said_by})")
        self.opened = self.at(place)
        return self.opened

    def of(self, environment: EnvironmentSettings, root: Workplace) -> Workplace:
        """Where an environment is written: its own repository or branch, else the root's.

        What the configuration at that head says of the environment rules; where it is silent, the root's does.
        """
        url = environment.url or root.url
        branch = self.reach.branch or environment.branch or (root.branch if url == root.url else None)
        if (url, branch) == (root.url, root.branch):
            return root
        place = self.at(Place(url, branch, f"environment {environment.name}"), environment.name)
        if environment.name in place.settings.config.environments or not root.settings.config.environments:
            return place
        return replace(place, settings=self._resolved(root.settings.config, place.tree, url))

    def at(self, place: Place, environment: str | None = None) -> Workplace:
        """Open `place` at its branch's head, under the configuration there."""
        repository = self.repository(place.url, environment)
        importing = Thread(target=lambda: [import_module(name) for name in _MEANWHILE])
        importing.start()
        try:
            branch = place.branch or repository.fetch_default()
            revision = repository.fetch(branch)
        finally:
            importing.join()
        return self._ruled(repository, place.url, branch, RepositoryTree(repository, revision))

    def _ruled(self, repository: Repository, url: str, branch: str, tree: RepositoryTree) -> Workplace:
        from ci_gitops.steps.configuration import chosen_config, config_at

        settings = self._resolved(chosen_config(self.run) or config_at(tree), tree, url)
        return Workplace(repository, url, branch, tree.revision, settings, tree)

    def ruled_by(self, place: Workplace, rules: Config, policy: RepositoryTree) -> Workplace:
        """`place` under the rules of `policy`; what its own configuration says of apps is its declaration."""
        if place.tree.holds(CONFIG_FILE):
            rules = rules.model_copy(update={"apps": place.settings.config.apps})
        return replace(place, settings=self._resolved(rules, place.tree, place.url), policy=policy)

    def note_once(self, message: str) -> None:
        """Tell it, unless it was told in this run: who waits asks again and again."""
        if message not in self._noted:
            self._noted.add(message)
            self.run.output.note(message)

    def refreshed(self, place: Workplace) -> Workplace:
        """The same place at what is the branch's head now; the rules are read again where their file changed."""
        repository = place.repository
        tree = RepositoryTree(repository, repository.fetch(place.branch))
        if repository.entry(tree.revision, CONFIG_FILE) == repository.entry(place.revision, CONFIG_FILE):
            return replace(place, revision=tree.revision, tree=tree)
        fresh = self._ruled(repository, place.url, place.branch, tree)
        silent = place.settings.config.environments and not fresh.settings.config.environments
        return replace(fresh, settings=place.settings) if silent else fresh

    def committed(self, place: Workplace, commit: str) -> Workplace:
        """The same place at a commit that is not pushed yet."""
        return self._ruled(place.repository, place.url, place.branch, RepositoryTree(place.repository, commit))

    def repository(self, url: str, environment: str | None = None) -> Repository:
        """The repository at `url`, opened once."""
        own_token = environment if environment and self._has_token(environment) else None
        with self._lock:
            return self._opened(url, own_token, environment)

    def _opened(self, url: str, own_token: str | None, environment: str | None) -> Repository:
        if (url, own_token) not in self._open:
            access = access_for(
                url,
                self.run.environ,
                ca_file=self.reach.ca_file,
                token_file=self.reach.token_file,
                environment=environment,
            )
            output = self.run.output
            opened = Repository.open(
                url, access, progress=output.step, trace=output.command, timeout=self.reach.timeout
            )
            self._open[url, own_token] = self._stack.enter_context(opened)
        return self._open[url, own_token]

    def _has_token(self, environment: str) -> bool:
        return environment_variable(environment) in self.run.environ

    def _resolved(self, config: Config | None, tree: RepositoryTree, url: str) -> Settings:
        from ci_gitops.settings import resolve

        known_as = identity(self.run, url)
        return resolve(config, tree.files(), repository=known_as, app_name=app_name(self.run, known_as))
