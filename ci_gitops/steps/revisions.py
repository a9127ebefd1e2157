"""What a target declares at two revisions, compared without a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci_gitops.adapters.tree import laid_out
from ci_gitops.core.between import between
from ci_gitops.core.desired import desired
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.plan import PlanList, make_plan
from ci_gitops.core.secret_values import Placeholders
from ci_gitops.core.targets import Target
from ci_gitops.errors import UsageError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.diff_report import Found, Shown
from ci_gitops.steps.locate import Place
from ci_gitops.steps.rendering import render_target, say_level
from ci_gitops.steps.workplace import Workplace, Workplaces


def between_revisions(
    places: Workplaces, place: Workplace, environment: EnvironmentSettings, apps: tuple[str, ...], against: str
) -> Found:
    """Both revisions are of the same repository, each rendered as its own files say."""
    before = places.at(Place(place.url, against, "--against"))
    old = _rendered(places, before, environment.name, apps)
    new = _rendered(places, place, environment.name, apps)
    if not old and not new:
        place.settings.targets([environment.name], apps, paths=place.tree.files())  # says what is wrong
    namespace = environment.destination.namespace if environment.destination else None
    hidden = Placeholders()
    notes = _notes(place, before)
    shown = []
    for name in sorted({*old, *new}):
        target, manifests = new.get(name) or (old[name][0], ())
        compared = between(
            [_placed(each, namespace) for each in (old[name][1] if name in old else ())],
            [_placed(each, namespace) for each in manifests],
        )
        shown.append(Shown(make_plan(target, compared, notes=notes, placeholders=hidden), tuple(compared)))
    source = place.settings.name or place.url
    plans = PlanList(
        environment.name, place.revision, tuple(each.plan for each in shown), source, against=before.revision
    )
    return Found(plans, tuple(shown), hidden, where=f"against {before.revision[:12]}, without a cluster")


def _rendered(
    places: Workplaces, place: Workplace, environment: str, apps: tuple[str, ...]
) -> Mapping[str, tuple[Target, tuple[Manifest, ...]]]:
    """By app; nothing where the environment, or the app, is not there yet or no more."""
    settings, run = place.settings, places.run
    if environment not in settings.environments or any(app not in settings.apps for app in apps):
        return {}
    try:
        targets = settings.targets([environment], apps, paths=place.tree.files())
    except UsageError:
        return {}
    say_level(run, settings)
    with laid_out(place.repository, place.revision) as tree:
        return {target.app: (target, render_target(run, settings, tree, target)) for target in targets}


def _placed(manifest: Manifest, namespace: str | None) -> dict[str, Any]:
    """As it would be sent, as far as that is known without a cluster; a hook without a name by what its begins with."""
    sent = desired(manifest.document)
    metadata = {**sent["metadata"], "name": manifest.name}
    if namespace and not metadata.get("namespace") and manifest.kind not in _OF_THE_CLUSTER:
        metadata["namespace"] = namespace
    return {**sent, "metadata": metadata}


#: The usual kinds that live in no namespace; the server is not asked.
_OF_THE_CLUSTER = {
    "APIService", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "IngressClass",
    "MutatingWebhookConfiguration", "Namespace", "PersistentVolume", "PriorityClass", "StorageClass",
    "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
}  # fmt: skip


def _notes(place: Workplace, before: Workplace) -> tuple[str, ...]:
    """What a reviewer should know first."""
    changed = place.repository.entry(place.revision, CONFIG_FILE) != before.repository.entry(
        before.revision, CONFIG_FILE
    )
    return (f"{CONFIG_FILE} itself changes.",) if changed else ()
