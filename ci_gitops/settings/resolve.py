"""The settings in force: the file's, with what the repository's layout shows where the file is silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ci_gitops.core.layout import Layout, detect
from ci_gitops.core.previews import namespace_of, previews_in
from ci_gitops.core.sources import last_name, source_name
from ci_gitops.core.targets import Target, environments_of, fill, with_parents
from ci_gitops.core.text import did_you_mean
from ci_gitops.errors import SettingsError, UsageError
from ci_gitops.settings.apps import App
from ci_gitops.settings.environments import Environment, Previews
from ci_gitops.settings.schema import FILE_NAME, Config

#: Which branches update which environment where application and configuration share a repository and no file
#: says it: what the usual pipelines of GitLab, Kustomize and Argo CD do, and no more.
_USUAL_BRANCHES = {"staging": ("staging",), "production": ("main", "master")}


class AppSettings(App):
    """An app with its name; `path` is always given."""

    name: str = ""
    path: str = ""


class EnvironmentSettings(Environment):
    """An environment with its name and what the file or its neighbours imply."""

    name: str = ""

    @property
    def section(self) -> str:
        """Where its settings stand in the file."""
        return f"environments.{self.name}"

    @property
    def merged_by_people(self) -> bool:
        """Whether its merge requests are people's to merge; what is pushed without any has none."""
        return (self.write, self.merge) == ("merge-request", "manual")

    @property
    def url(self) -> str | None:
        """The address of a repository of its own."""
        return self.repository.url if self.repository else None

    @property
    def branch(self) -> str | None:
        return self.repository.branch if self.repository else None


class PreviewSettings(EnvironmentSettings):
    """An environment that `preview` made."""

    @property
    def section(self) -> str:
        return "previews"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a config repository, with defaults applied."""

    name: str | None  # who owns what in a cluster; None where no repository is known
    apps: Mapping[str, AppSettings]
    environments: Mapping[str, EnvironmentSettings]  # in promotion order
    config: Config
    layout: Layout
    paths: frozenset[str] | None  # files and folders of the repository; None: not looked at
    preview_environments: frozenset[str] = frozenset()  # those that `preview` made

    @property
    def previews(self) -> Previews | None:
        return self.config.previews

    @property
    def branch(self) -> str | None:
        """The branch of the repository that the file names for all environments."""
        return self.config.repository.branch if self.config.repository else None

    @property
    def keys(self) -> frozenset[str]:
        """The files of the repository that say whose images count."""
        verify = [each.verify for each in self.environments.values()]
        verify += [self.previews.verify] if self.previews else []
        named = [each.cosign.key for each in verify if each.cosign]
        return frozenset(key for key in named if key and "://" not in key)

    def app(self, name: str) -> AppSettings:
        """The app of that name; UsageError offers near matches."""
        if name not in self.apps:
            raise UsageError(
                f"There is no app {name!r} in the {self._where('apps')}.", hint=did_you_mean(name, self.apps, "Apps")
            )
        return self.apps[name]

    def environment(self, name: str) -> EnvironmentSettings:
        """The environment of that name; UsageError offers near matches."""
        if name not in self.environments:
            raise UsageError(
                f"There is no environment {name!r} in the {self._where('environments')}.",
                hint=did_you_mean(name, self.environments, "Environments"),
            )
        return self.environments[name]

    def environments_for_branch(self, branch: str) -> tuple[str, ...]:
        """The environments whose `sourceBranches` hold `branch`, in promotion order."""
        return tuple(
            name
            for name, environment in self.environments.items()
            if any(fnmatchcase(branch, pattern) for pattern in environment.source_branches)
        )

    def targets(
        self, environments: Sequence[str] = (), apps: Sequence[str] = (), *, paths: Iterable[str] | None = None
    ) -> tuple[Target, ...]:
        """The targets of these environments and apps (default: all), in their order.

        A target is there where its path is in the repository. `paths` are the files of an environment's own
        repository or branch, which `resolve` did not see; without them everything is taken to be there.
        UsageError where a name is unknown or nothing is left.
        """
        wanted = [self.environment(name) for name in dict.fromkeys(environments)] or [*self.environments.values()]
        chosen = [self.app(name) for name in dict.fromkeys(apps)] or [*self.apps.values()]
        given = with_parents(paths) if paths is not None else None
        found = tuple(
            Target(app.name, environment.name, path)
            for environment in wanted
            for app in chosen
            if self._is_there(path := fill(app.path, environment.name), environment, given)
            and self._is_part(app, environment.name, given)
        )
        if not found:
            raise self._no_targets(chosen, wanted)
        return found

    def _is_there(self, path: str, environment: EnvironmentSettings, given: frozenset[str] | None) -> bool:
        if given is None and not environment.repository:
            given = self.paths
        return given is None or path in given

    def _is_part(self, app: AppSettings, environment: str, given: frozenset[str] | None) -> bool:
        """A preview holds an app by files of its own: one that is the same in all environments is none of it."""
        paths = self.paths if given is None else given
        if environment not in self.preview_environments or paths is None:
            return True
        return any(path in paths for path in own_paths(app, environment))

    def _where(self, section: str) -> str:
        if self.config.file and (self.config.apps if section == "apps" else self.config.environments):
            return f"file {self.config.file}"
        return "config repository"

    def _no_targets(self, apps: list[AppSettings], environments: list[EnvironmentSettings]) -> UsageError:
        if not self.apps or not self.environments:
            return UsageError(
                "The config repository has no target: none of the usual layouts is there.",
                hint=f"`ci-gitops init` writes a {FILE_NAME} that says where apps and environments are.",
            )
        looked = [fill(app.path, environment.name) for environment in environments for app in apps]
        return UsageError(
            f"The config repository has none of {', '.join(looked[:5])}{' …' if len(looked) > 5 else ''}.",
            hint=f"Add the folder, or correct `path` of the app in {self.config.file or FILE_NAME}.",
        )


def resolve(
    config: Config | None, paths: Iterable[str] | None, *, repository: str | None = None, app_name: str | None = None
) -> Settings:
    """The settings in force for a config repository with these files (None: not known).

    `repository` is its address or absolute path; `app_name` names an app that has no folder of its own to be
    named after (default: the repository's last name).
    """
    config = config or Config.model_construct()
    files = None if paths is None else tuple(paths)
    layout = detect(files or (), app_name or last_name(repository or "app"))
    apps = _apps(config, layout)
    previews = previews_in(files or ())
    environments = _environments(config, layout, apps, files or ())
    for name in previews:
        if name not in config.environments:
            environments.pop(name, None)  # as the layout shows it
            environments[name] = preview_settings(config.previews or Previews.model_construct(), name)
    return Settings(
        name=config.name or (source_name(repository) if repository else None),
        apps=apps,
        environments=environments,
        config=config,
        layout=layout,
        paths=None if files is None else with_parents(files),
        preview_environments=frozenset(previews),
    )


def _apps(config: Config, layout: Layout) -> dict[str, AppSettings]:
    declared = config.apps or {name: App.model_construct() for name in layout.apps}
    apps = {}
    for name, app in declared.items():
        path = app.path or layout.apps.get(name)
        if path is None:
            place = config.place("apps", name) or config.file
            raise SettingsError(
                f"{place}: apps.{name}.path: the repository's layout does not show where {name!r} is.",
                hint=did_you_mean(name, layout.apps, "The layout shows") or "Give its path.",
            )
        apps[name] = AppSettings.model_construct(**{**dict(app), "name": name, "path": path})
    return apps


def _environments(
    config: Config, layout: Layout, apps: Mapping[str, AppSettings], files: Sequence[str]
) -> dict[str, EnvironmentSettings]:
    declared = config.environments or {
        name: Environment.model_construct() for name in _detected(config, layout, apps, files)
    }
    usual = _USUAL_BRANCHES if layout.own and not config.environments else {}
    environments: dict[str, EnvironmentSettings] = {}
    before: str | None = None
    for name, environment in declared.items():
        implied = {"name": name, "from_": environment.from_ or before}
        branches = environment.source_branches or usual.get(name, ())
        environments[name] = EnvironmentSettings.model_construct(
            **{**dict(environment), **implied, "source_branches": branches}
        )
        before = name
    return environments


def _detected(config: Config, layout: Layout, apps: Mapping[str, AppSettings], files: Sequence[str]) -> Iterable[str]:
    """Environments that the paths show: by the declared apps' templates, else by the usual layouts."""
    from ci_gitops.core.layout import in_order

    if not config.apps:
        names: Iterable[str] = layout.environments
    else:
        names = in_order({name for app in apps.values() for name in environments_of(app.path, files)})
    made = previews_in(files)
    return [name for name in names if name not in made and not _is_template(config.previews, apps, name)]


def _is_template(previews: Previews | None, apps: Mapping[str, AppSettings], name: str) -> bool:
    """Whether what stands there is what previews are made from."""
    if previews is None:
        return False
    return any(fill(app.path, name) in template_paths(previews, app) for app in apps.values() if _varies(app.path))


def template_paths(previews: Previews, app: AppSettings) -> tuple[str, ...]:
    """Where the files of the template are, in the order of `own_paths`."""
    if previews.template:
        return (fill(previews.template.replace("{app}", app.name), ""),)
    return own_paths(app, "preview")


def own_paths(app: AppSettings, environment: str) -> tuple[str, ...]:
    """What an app has of its own in one environment: its folder or values file; nothing where all is shared."""
    if _varies(app.path):
        return (fill(app.path, environment),)
    values = app.helm.values if app.helm else ()
    return tuple(fill(f"{app.path}/{name}", environment) for name in values if _varies(name))


def _varies(template: str) -> bool:
    return "{environment}" in template


def preview_settings(previews: Previews, environment: str) -> EnvironmentSettings:
    """The settings of an environment that is a preview."""
    shared = {
        name: getattr(previews, name) for name in ("from_", "operator", "create_namespace", "allow", "verify", "health")
    }
    destination = previews.destination
    if destination is not None:
        destination = destination.model_copy(update={"namespace": namespace_of(destination.namespace, environment)})
    defaults = dict(Environment.model_construct())
    return PreviewSettings.model_construct(**{**defaults, **shared, "destination": destination, "name": environment})
