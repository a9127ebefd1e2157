"""What runs in an environment: each target's revision, whether it is as declared, how it does, and since when.

`sync` and `health` are two questions: an app may be exactly as Git declares it and broken, or drifted and well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from ci_gitops.adapters.cluster.base import Document
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.core.health import Health, assess_health, counts, missing, overall
from ci_gitops.core.holds import Hold, hold_on
from ci_gitops.core.inventory import Key
from ci_gitops.core.object_images import named_images
from ci_gitops.core.records import Record
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.destinations import Destinations
from ci_gitops.steps.held import holds_at
from ci_gitops.steps.looking import Looking, bounds_of, own_plan_key, sites_of
from ci_gitops.steps.rendered import RenderedSets
from ci_gitops.steps.site import Site, View
from ci_gitops.steps.workplace import Workplace

Sync = Literal["synced", "out-of-sync", "unknown"]
_NEVER = "Nothing of it was deployed yet."


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One target as it is. `objects` are those that it holds and that count for its health, where they live."""

    target: Target
    destination: str
    revision: str | None = None
    sync: Sync
    health: Health | None = None  # None where nothing acts on the objects
    images: tuple[str, ...] = ()
    record: Record | None = None  # the newest
    since: str | None = None
    changes: Mapping[str, int] = field(default_factory=dict)  # what a deploy would do
    message: str | None = None
    hold: Hold | None = None
    objects: tuple[Document, ...] = field(default=(), repr=False)

    @property
    def deployed(self) -> bool:
        """Whether it ever was."""
        return bool(self.record or self.revision)


class Sight:
    """One environment at one revision, its destinations looked at once."""

    def __init__(
        self, run: Run, ask: Ask, place: Workplace, environment: EnvironmentSettings, destinations: Destinations,
        deadline: Deadline,
    ) -> None:  # fmt: skip
        targets = place.settings.targets([environment.name], ask.apps, paths=place.tree.files())
        sets = RenderedSets(run, place, destinations.of, fresh=ask.no_cache)
        self._run, self._environment = run, environment
        self._rendered = sets.of(targets)
        self._holds = holds_at(place, environment.name)
        # A target that does not render declares nothing that could be compared, and is there nevertheless.
        declared = {
            target: () if isinstance(found, CiGitopsError) else found for target, found in self._rendered.items()
        }
        self.sites = sites_of(
            destinations, declared, deadline, place.repository.log(place.revision, 1)[0],
            create_namespace=environment.create_namespace, with_gone=not ask.apps,
        )  # fmt: skip
        self._looking = Looking(sets, place.settings, bounds_of(place, environment), prune=True)
        self._order = [*targets, *(target for site in self.sites for target in site.gone)]

    def states(self, *, compared: bool = True) -> tuple[State, ...]:
        """Every target; without `compared` nothing is asked about what a deploy would do."""
        found = [self._state(site, site.view(target), compared) for site in self.sites for target in site.targets]
        broken = [
            State(target=target, destination=str(site.cluster), sync="unknown", message=error.message)
            for site in self.sites for target, error in site.broken.items()
        ]  # fmt: skip
        return tuple(sorted((*found, *broken), key=lambda state: self._order.index(state.target)))

    def _state(self, site: Site, view: View, compared: bool) -> State:
        target = view.prepared.target
        newest = view.records[0] if view.records else None
        objects = self.held(view)
        sync, changes, message = self._compared(site, view) if compared else ("unknown", {}, None)
        return State(
            target=target,
            destination=str(site.cluster),
            revision=view.inventory.revision or None,
            sync=sync,
            health=self._health(view) if site.cluster.alive else None,
            images=tuple(dict.fromkeys(image for document in objects for image in named_images(document))),
            record=newest,
            since=_since(view.records),
            changes=changes,
            message=message or _said(newest),
            hold=hold_on(target, self._holds),
            objects=objects,
        )

    def held(self, view: View) -> tuple[Document, ...]:
        """The live objects of the target that count for its health."""
        found = (view.live.get(key) for key in self._keys(view))
        return tuple(document for document in found if document is not None and counts(document))

    def _keys(self, view: View) -> list[Key]:
        """What it holds; where it holds nothing yet, what it declares."""
        members = [member.key for member in view.inventory.members]
        return members or [Key.of(document) for document in view.prepared.documents]

    def _health(self, view: View) -> Health:
        if not view.inventory.members:
            return missing(_NEVER)
        now, rules = datetime.now(UTC), self._environment.health
        found = ((key, view.live.get(key)) for key in self._keys(view))
        return overall(
            (str(key), assess_health(live, rules, now=now)) for key, live in found if live is None or counts(live)
        )

    # Compared with what is declared

    def _compared(self, site: Site, view: View) -> tuple[Sync, Mapping[str, int], str | None]:
        target = view.prepared.target
        rendered = self._rendered.get(target)
        if isinstance(rendered, CiGitopsError):
            return "unknown", {}, rendered.message
        try:
            terms = site.terms(try_new=False, take_over=False, recreate=(), plan_key=own_plan_key(self._run))
            planned = self._looking.at(site, view, terms(view)).planned
        except CiGitopsError as error:
            return "unknown", {}, error.message
        changes: dict[str, int] = {name: count for name, count in planned.plan.summary.items() if count}
        if planned.troubles:
            return "unknown", changes, planned.troubles[0].message
        if view.gone and view.inventory.members:
            return "out-of-sync", changes, "Its declaration left Git."
        return ("synced" if planned.plan.is_empty else "out-of-sync"), changes, None


def _since(records: Sequence[Record]) -> str | None:
    """Since when it is as it is: the end of the newest deployment, or the start of one that has not ended."""
    return (records[0].finished or records[0].started) if records else None


def _said(newest: Record | None) -> str | None:
    """What the newest deployment leaves to say."""
    if newest is None or newest.outcome in ("succeeded", "applied"):
        return None
    if newest.failure:
        again = " It is not tried again by itself." if newest.marks else ""
        return f"The last deployment failed: {newest.failure.message}{again}"
    return "A deployment is under way." if not newest.closed else "The last deployment gave way to a newer one."


@contextmanager
def sight(
    run: Run, ask: Ask, place: Workplace, environment: EnvironmentSettings, deadline: Deadline
) -> Iterator[Sight]:
    """The environment, looked at; its destinations are open meanwhile."""
    with Destinations(run, ask, place, environment) as destinations:
        yield Sight(run, ask, place, environment, destinations, deadline)
