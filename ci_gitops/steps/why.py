"""The story of `why`: from an object to what brought it there, and down to what keeps it from being well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from ci_gitops.adapters.cluster.base import Cluster, Document
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.base import Ledger
from ci_gitops.core.explaining import Trouble
from ci_gitops.core.family import Node, grow
from ci_gitops.core.health import Health, assess_health, counts, missing, overall
from ci_gitops.core.inventory import Inventory, Key
from ci_gitops.core.object_names import named
from ci_gitops.core.provenance import Provenance
from ci_gitops.core.records import Record
from ci_gitops.core.targets import Target
from ci_gitops.core.waiting import is_settled
from ci_gitops.errors import UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask, declared_at
from ci_gitops.steps.destinations import Destinations
from ci_gitops.steps.explaining import explain, tree
from ci_gitops.steps.observing import observe
from ci_gitops.steps.provenance import Origins
from ci_gitops.steps.why_report import Explanation, explanation_result
from ci_gitops.steps.workplace import Workplace, Workplaces

_SECONDS = 100.0
_MOST_TROUBLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyCall(Ask):
    """The options of one call, as the command line gives them."""

    object: str | None = None
    forge: str | None = None
    forge_url: str | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """A target as it was found. `absent` are the objects that it holds and the cluster has not."""

    inventory: Inventory
    record: Record | None
    roots: tuple[Node, ...]
    absent: tuple[Key, ...]

    @property
    def health(self) -> Health:
        if not self.inventory.members:
            return missing("Nothing of it was deployed yet")
        found = [(str(node.key), node.health) for node in self.roots if counts(node.document)]
        return overall([*found, *((str(key), missing("It is not in the cluster")) for key in self.absent)])

    def chosen(self, written: str | None) -> tuple[tuple[Node, ...], Key | None]:
        """What is asked about: one object with the one that it came from, else all of them."""
        if written is None:
            return self.roots, None
        keys = [node.key for root in self.roots for node in root.every()]
        key = named(written, [*keys, *self.absent])
        return tuple(root for root in self.roots if key in (node.key for node in root.every())), key


def why(run: Run, call: WhyCall) -> Result:
    """Explain one object, or a whole app."""
    with Workplaces(run, call.reach) as places:
        place, environment = declared_at(places, call)
        with Destinations(run, call, place, environment) as destinations:
            target, cluster, ledger = _found(place, environment, destinations, call)
            sight = _look(cluster, ledger, target, environment)
            roots, key = sight.chosen(call.object)
            images = _images(run, places, place, target, sight, roots, call)
            troubles = _troubles(cluster, roots, environment)
    return explanation_result(_explained(target, str(cluster), cluster.alive, sight, roots, key, images, troubles))


def _found(
    place: Workplace, environment: EnvironmentSettings, destinations: Destinations, call: WhyCall
) -> tuple[Target, Cluster, Ledger]:
    """The one app that is meant, where it lives and what is recorded there: one that left Git may still run."""
    deadline = Deadline.after(_SECONDS)
    try:
        target = _declared(place, environment, call)
    except UsageError:
        for name in call.apps if len(call.apps) == 1 else ():
            cluster = destinations.of(Target(name, environment.name, "."))
            ledger = destinations.ledger(cluster, deadline)
            held = [each.target for each in ledger.inventories() if each.target.app == name]
            if held:
                return held[0], cluster, ledger
        raise
    cluster = destinations.of(target)
    return target, cluster, destinations.ledger(cluster, deadline)


def _declared(place: Workplace, environment: EnvironmentSettings, call: WhyCall) -> Target:
    targets = place.settings.targets([environment.name], call.apps, paths=place.tree.files())
    if len(targets) != 1:
        apps = ", ".join(target.app for target in targets)
        raise UsageError(f"{environment.name} has several apps: {apps}.", hint="Name one with --app.")
    return targets[0]


def _look(cluster: Cluster, ledger: Ledger, target: Target, environment: EnvironmentSettings) -> Sight:
    inventory = ledger.inventory(target)
    records = ledger.records(target)
    live = observe(cluster, [], [inventory])
    documents: list[Document] = []
    absent = []
    for member in inventory.members:
        found = live.get(member.key)
        if found is not None:
            documents.append(found)
        elif not live.failed(member.key):
            absent.append(member.key)
    roots = tree(cluster, documents, rules=environment.health) if cluster.alive else _alone(documents)
    return Sight(inventory, records[0] if records else None, roots, tuple(absent))


def _alone(documents: Sequence[Document]) -> tuple[Node, ...]:
    """Objects of which nothing came."""
    return tuple(grow(document, (), partial(assess_health, now=datetime.now(UTC))) for document in documents)


def _images(
    run: Run, places: Workplaces, place: Workplace, target: Target, sight: Sight, roots: Sequence[Node], call: WhyCall
) -> tuple[Provenance, ...]:
    revision = sight.record.revision if sight.record else sight.inventory.revision or place.revision
    origins = Origins(run, places, place, target, revision, call, call.forge, call.forge_url)
    return origins.of(roots)


def _troubles(cluster: Cluster, roots: Sequence[Node], environment: EnvironmentSettings) -> tuple[Trouble, ...]:
    ill = [root.document for root in roots if not is_settled(root.health) and counts(root.document)]
    return explain(cluster, ill[:_MOST_TROUBLES], rules=environment.health) if cluster.alive else ()


def _explained(
    target: Target, destination: str, alive: bool, sight: Sight, roots: Sequence[Node], key: Key | None,
    images: tuple[Provenance, ...], troubles: tuple[Trouble, ...],
) -> Explanation:  # fmt: skip
    trail = next((found for root in roots if (found := _trail(root, key))), ()) if key else ()
    health: Health | None = trail[-1].health if trail else missing("It is not in the cluster") if key else sight.health
    return Explanation(
        target=target, destination=destination, object=key, owners=tuple(node.key for node in trail[:-1]),
        health=health if alive else None, revision=sight.inventory.revision or None, record=sight.record,
        images=images, troubles=troubles, absent=sight.absent if key is None else (),
    )  # fmt: skip


def _trail(root: Node, key: Key) -> tuple[Node, ...]:
    """From the object that was applied down to the one that is asked about."""
    if root.key == key:
        return (root,)
    below = next((found for child in root.children if (found := _trail(child, key))), ())
    return (root, *below) if below else ()
