"""The revision that an environment's settings name: the newest tag of a pattern, or one commit, instead of a head."""

from __future__ import annotations

from ci_gitops.core.tags import newest_tag
from ci_gitops.core.text import did_you_mean
from ci_gitops.errors import GitError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.locate import Place, identity
from ci_gitops.steps.workplace import Workplace, Workplaces

_TAGS = "refs/tags/"


def pinned_place(places: Workplaces, place: Workplace, environment: EnvironmentSettings) -> Workplace:
    """That revision under the rules of `place`; `place` itself where the settings name none.

    Tags are asked for where the checkout came from: a CI job's checkout often has none.
    """
    named = environment.repository
    if named is None or not (named.tag or named.commit):
        return place
    url = environment.url or identity(places.run, place.url)
    revision = named.commit or _tag(places, url, environment, str(named.tag))
    pinned = places.at(Place(url, revision, f"environments.{environment.name}.repository"), environment.name)
    if places.run.config is not None:
        return pinned  # the person who calls names the rules
    return places.ruled_by(pinned, place.settings.config, place.rules)


def _tag(places: Workplaces, url: str, environment: EnvironmentSettings, pattern: str) -> str:
    repository = places.repository(url, environment.name)
    names = [ref.removeprefix(_TAGS) for ref in repository.remote_refs(f"{_TAGS}*")]
    newest = newest_tag(names, pattern)
    if newest is None:
        raise GitError(
            f"{repository.url.clean} has no tag that fits {pattern!r}, as environments.{environment.name} wants it.",
            hint=did_you_mean(pattern, names, "Its tags"),
        )
    places.run.output.detail(f"{environment.name} is deployed at {newest}, the newest tag that fits {pattern}.")
    return f"{_TAGS}{newest}"
