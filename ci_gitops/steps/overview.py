"""What is in force for a run: where the config repository is and what its configuration says, with who said so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ci_gitops.adapters import certificates
from ci_gitops.adapters.folder import files_of, root_of
from ci_gitops.adapters.git import checkout_origin
from ci_gitops.adapters.git_access import access_for
from ci_gitops.errors import UsageError
from ci_gitops.run import Run
from ci_gitops.settings import Settings, resolve
from ci_gitops.settings.listing import Setting, settings_in_force
from ci_gitops.steps.configuration import local_config
from ci_gitops.steps.locate import Place, app_name, find_place, identity, same_project
from ci_gitops.steps.people import author
from ci_gitops.steps.workplace import Reach, Workplaces


@dataclass(frozen=True, slots=True)
class Overview:
    """`place` is None where nothing names a config repository; `local`: the checkout's own files were read."""

    place: Place | None
    local: bool
    settings: Settings

    def listing(self, run: Run, reach: Reach) -> tuple[Setting, ...]:
        """The run's own settings, then those of the configuration."""
        return (*_of_the_run(run, reach, self), *settings_in_force(self.settings))


def look(run: Run, reach: Reach) -> Overview:
    """The settings at the head of the branch that is written; those of the checkout where that is its repository."""
    place = _place(run, reach)
    if place is None or _is_here(run, place, reach):
        return Overview(place, True, checkout_settings(run))
    with Workplaces(run, reach) as places:
        return Overview(place, False, places.root().settings)


def checkout_settings(run: Run) -> Settings:
    """What the files around the working folder say, committed or not."""
    root = root_of(run.cwd)
    known_as = identity(run, str(root))
    return resolve(local_config(run), files_of(root), repository=known_as, app_name=app_name(run, known_as))


def _place(run: Run, reach: Reach) -> Place | None:
    try:
        return find_place(run, reach.repo, reach.branch)
    except UsageError:
        if reach.repo:
            raise
        return None


def _is_here(run: Run, place: Place, reach: Reach) -> bool:
    """Whether the checkout is one of that repository; `--repo` and `--branch` ask for the server's."""
    if reach.repo or reach.branch:
        return False
    here = (checkout_origin(run.cwd, run.environ), run.ci.project_url)
    return place.url in here or any(same_project(place.url, address) for address in here)


def _of_the_run(run: Run, reach: Reach, seen: Overview) -> Iterator[Setting]:
    environ = run.environ
    if seen.place:
        yield Setting("repository", seen.place.url, seen.place.said_by)
        branch_origin = "the pipeline's own branch" if seen.place.branch == run.ci.branch else seen.place.said_by
        yield Setting("branch", seen.place.branch, branch_origin if seen.place.branch else "the remote says it")
        access = access_for(seen.place.url, environ, ca_file=reach.ca_file, token_file=reach.token_file)
        if access.source:
            yield Setting("token" if access.token else "key", "(not shown)", access.source)
    yield _environment(run, seen.settings)
    person = author(run)
    yield Setting("author", f"{person.name} <{person.email}>", _author_origin(run))
    certificate = next((name for name in certificates.VARIABLES if environ.get(name)), None)
    if certificate:
        yield Setting("ca-file", environ[certificate], certificate)
    for name in ("CI_GITOPS_FORGE", "CI_GITOPS_FORGE_URL"):
        if environ.get(name):
            yield Setting(name.removeprefix("CI_GITOPS_").lower().replace("_", "-"), environ[name], name)


def _environment(run: Run, settings: Settings) -> Setting:
    named = run.environ.get("CI_GITOPS_ENVIRONMENT")
    if named:
        return Setting("environment", named, "CI_GITOPS_ENVIRONMENT")
    branch = run.ci.branch
    names = settings.environments_for_branch(branch) if branch else ()
    return Setting("environment", ", ".join(names) or None, f"sourceBranches hold {branch}" if names else "not chosen")


def _author_origin(run: Run) -> str:
    if run.environ.get("GITLAB_USERNAME") or run.environ.get("GITLAB_EMAIL"):
        return "GITLAB_USERNAME, GITLAB_EMAIL"
    if run.ci.user or run.ci.user_name:
        return "the pipeline's user"
    return "Git's own configuration, else the default"
