"""What a target declares at two revisions, compared without a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci_gitops.adapters.git import commit_of, find_checkout
from ci_gitops.core.between import between
from ci_gitops.core.desired import desired
from ci_gitops.core.differences import Compared
from ci_gitops.core.known_kinds import OF_THE_CLUSTER
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.plan import PlanList, make_plan
from ci_gitops.core.secret_values import Placeholders
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError, GitError, UsageError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.diff_report import Found, Shown
from ci_gitops.steps.locate import Place, find_place
from ci_gitops.steps.rendered import RenderedSets
from ci_gitops.steps.workplace import Workplace, Workplaces


def between_revisions(
    places: Workplaces, place: Workplace, environment: EnvironmentSettings, ask: Ask, against: str
) -> Found:
    """Both revisions are of the same repository, each rendered as its own files say, under the same rules."""
    before = _place_of(places, place, ask, against)
    before = places.ruled_by(before, place.settings.config, place.rules)
    found = compared_targets(places, before, place, environment, ask)
    if not found:
        place.settings.targets([environment.name], ask.apps, paths=place.tree.files())  # says what is wrong
    hidden = Placeholders()
    notes = _notes(place, before)
    shown = []
    for target, compared in found.items():
        if isinstance(compared, CiGitopsError):
            raise compared
        shown.append(Shown(make_plan(target, compared, notes=notes, placeholders=hidden), tuple(compared)))
    source = place.settings.name or place.url
    plans = PlanList(
        environment.name, place.revision, tuple(each.plan for each in shown), source, against=before.revision
    )
    return Found(plans, tuple(shown), hidden, where=f"against {before.revision[:12]}, without a cluster")


def compared_targets(
    places: Workplaces, before: Workplace, place: Workplace, environment: EnvironmentSettings, ask: Ask
) -> dict[Target, list[Compared] | CiGitopsError]:
    """What each target of the call declares at two revisions, compared; or why one of them does not render."""
    old, new = (_rendered(places, each, environment.name, ask) for each in (before, place))
    namespace = environment.destination.namespace if environment.destination else None
    found: dict[Target, list[Compared] | CiGitopsError] = {}
    for name in sorted({*old, *new}):
        target = (new.get(name) or old[name])[0]
        sides = [side[name][1] if name in side else () for side in (old, new)]
        found[target] = _between(sides[0], sides[1], namespace)
    return found


def changed_since(
    places: Workplaces, place: Workplace, environment: EnvironmentSettings, ask: Ask, since: str
) -> tuple[tuple[Target, ...], tuple[Target, ...]]:
    """The targets that declare something else than at another revision, and those that are declared no more.

    One that does not render at either of them counts as changed.
    """
    before = places.ruled_by(_place_of(places, place, ask, since), place.settings.config, place.rules)
    old, new = (_rendered(places, each, environment.name, ask) for each in (before, place))
    changed = [target for app, (target, found) in new.items() if app not in old or not _same(old[app][1], found)]
    return tuple(changed), tuple(target for app, (target, _) in old.items() if app not in new)


def _same(old: tuple[Manifest, ...] | CiGitopsError, new: tuple[Manifest, ...] | CiGitopsError) -> bool:
    if isinstance(old, CiGitopsError) or isinstance(new, CiGitopsError):
        return False
    return [each.document for each in old] == [each.document for each in new]


def _between(
    old: tuple[Manifest, ...] | CiGitopsError, new: tuple[Manifest, ...] | CiGitopsError, namespace: str | None
) -> list[Compared] | CiGitopsError:
    if isinstance(old, CiGitopsError):
        return old
    if isinstance(new, CiGitopsError):
        return new
    return between([_placed(each, namespace) for each in old], [_placed(each, namespace) for each in new])


def _place_of(places: Workplaces, place: Workplace, ask: Ask, against: str) -> Workplace:
    """What `against` means: in a checkout what Git means there, else a branch, tag or commit of the repository."""
    run = places.run
    checkout = None if ask.repo or ask.branch else find_checkout(run.cwd, run.environ)
    if checkout is None:
        return places.at(Place(place.url, against, "--against"))
    known = commit_of(checkout, against, run.environ)
    try:
        return places.at(Place(str(checkout.root), known or against, "--against"))
    except (GitError, UsageError):
        if not checkout.origin:
            raise
        return places.at(Place(find_place(run, None, None).url, against, "--against"))


def _rendered(
    places: Workplaces, place: Workplace, environment: str, ask: Ask
) -> Mapping[str, tuple[Target, tuple[Manifest, ...] | CiGitopsError]]:
    """By app; nothing where the environment, or the app, is not there yet or no more."""
    settings, run, apps = place.settings, places.run, ask.apps
    if environment not in settings.environments or any(app not in settings.apps for app in apps):
        return {}
    try:
        targets = settings.targets([environment], apps, paths=place.tree.files())
    except UsageError:
        return {}
    rendered = RenderedSets(run, place, fresh=ask.no_cache).of(targets)
    return {target.app: (target, found) for target, found in rendered.items()}


def _placed(manifest: Manifest, namespace: str | None) -> dict[str, Any]:
    """As it would be sent, as far as that is known without a cluster; a hook without a name by what its begins with."""
    sent = desired(manifest.document)
    metadata = {**sent["metadata"], "name": manifest.name}
    if namespace and not metadata.get("namespace") and manifest.kind not in OF_THE_CLUSTER:
        metadata["namespace"] = namespace
    return {**sent, "metadata": metadata}


def _notes(place: Workplace, before: Workplace) -> tuple[str, ...]:
    """What a reviewer should know first."""
    changed = place.repository.entry(place.revision, CONFIG_FILE) != before.repository.entry(
        before.revision, CONFIG_FILE
    )
    return (f"{CONFIG_FILE} itself changes.",) if changed else ()
