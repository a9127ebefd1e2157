"""How deployed targets do at this moment, and which digests their pods run: what records alone cannot say.

It is a look besides: where it is not allowed, or nobody answers, the records stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.adapters.records.base import Ledger
from ci_gitops.core.family import Node
from ci_gitops.core.health import Health, HealthRule, assess_health, counts, missing, overall
from ci_gitops.core.health.fields import mappings, text
from ci_gitops.core.inventory import Inventory
from ci_gitops.core.object_images import named_images
from ci_gitops.core.provenance import digests_of
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError
from ci_gitops.run import Run
from ci_gitops.steps.families import Families
from ci_gitops.steps.observing import Live, observe


@dataclass(frozen=True, slots=True)
class Living:
    """One target now. `digests` are those of each image that pods really pulled."""

    health: Health
    digests: Mapping[str, tuple[str, ...]]


def living(
    run: Run, cluster: Cluster, ledger: Ledger, targets: Sequence[Target], rules: Sequence[HealthRule]
) -> Mapping[Target, Living]:
    """Those that can be looked at."""
    if not (cluster.alive and targets):
        return {}
    try:
        return _living(cluster, ledger, targets, rules)
    except CiGitopsError as error:
        run.output.detail(f"How the objects do now is not to be had, the records stand: {error.message}")
        return {}


def _living(
    cluster: Cluster, ledger: Ledger, targets: Sequence[Target], rules: Sequence[HealthRule]
) -> Mapping[Target, Living]:
    apps = {target.app: target for target in targets}
    held = [each for each in ledger.inventories() if each.target.app in apps and each.members and not each.problem]
    live = observe(cluster, [], held)
    families = Families(cluster, rules=rules)
    seen = {}
    for inventory in held:
        if any(live.failed(member.key) for member in inventory.members):
            continue  # of a part alone nothing can be said
        roots = families.of(document for member in inventory.members if (document := live.get(member.key)))
        seen[apps[inventory.target.app]] = Living(_health(inventory, live, rules), _digests(roots))
    return seen


def _health(inventory: Inventory, live: Live, rules: Sequence[HealthRule]) -> Health:
    now = datetime.now(UTC)
    found = ((str(member.key), live.get(member.key)) for member in inventory.members)
    return overall(
        (name, assess_health(document, rules, now=now) if document else missing("It is not there any more"))
        for name, document in found
        if document is None or counts(document)
    )


def _digests(roots: Iterable[Node]) -> Mapping[str, tuple[str, ...]]:
    """None of a simulated cluster's: it pulls nothing and makes its digests up."""
    nodes = tuple(roots)
    pods = (each.document for root in nodes for each in root.every() if each.key.kind == "Pod")
    started = (text(status, "containerID") for pod in pods for status in mappings(pod, "status", "containerStatuses"))
    if any(each.startswith("simulated:") for each in started):
        return {}
    images = dict.fromkeys(image for root in nodes for image in named_images(root.document))
    return {image: found for image in images if (found := digests_of(nodes, image))}
