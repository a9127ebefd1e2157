"""What a pass would do to each target of an environment: read, compared, planned; nothing is written.

`diff` shows it. `deploy` decides by the same calls, so that what was reviewed is what is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ci_gitops.adapters.cluster.base import Cluster, Document
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.git import CommitInfo
from ci_gitops.core.differences import Compared
from ci_gitops.core.ignoring import Rule
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.prepared import Prepared
from ci_gitops.core.pruning import Belts, Leaving, leaving
from ci_gitops.core.records import Record, last_success
from ci_gitops.core.targets import Target
from ci_gitops.core.tenancy import Bounds, refuse_violations
from ci_gitops.core.text import counted
from ci_gitops.errors import RefusedError
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings, Settings
from ci_gitops.steps.destinations import Destinations
from ci_gitops.steps.observing import scopes
from ci_gitops.steps.planning import Past, Planned, Terms, plan_target
from ci_gitops.steps.rendered import RenderedSets
from ci_gitops.steps.site import Site, View
from ci_gitops.steps.workplace import Workplace


def sites_of(
    destinations: Destinations, declared: Mapping[Target, Sequence[Manifest]], deadline: Deadline, commit: CommitInfo,
    *, create_namespace: bool, with_gone: bool,
) -> list[Site]:  # fmt: skip
    """The destinations: one for all targets, or for each its own. `with_gone`: also targets that left Git."""
    shares: dict[int, tuple[Cluster, dict[Target, Sequence[Manifest]]]] = {}
    for target, manifests in declared.items():
        cluster = destinations.of(target)
        shares.setdefault(id(cluster), (cluster, {}))[1][target] = manifests
    for target in destinations.kept(deadline) if with_gone else ():
        cluster = destinations.of(target)
        shares.setdefault(id(cluster), (cluster, {}))
    sites = [
        Site(
            cluster, destinations.ledger(cluster, deadline, commit), share, create_namespace=create_namespace,
            with_gone=with_gone,
        )
        for cluster, share in shares.values()
    ]  # fmt: skip
    for warning in (warning for site in sites for warning in site.live.warnings):
        destinations.run.output.warn(warning)
    return sites


def ignored(settings: Settings, app: str) -> tuple[Rule, ...]:
    """The `ignore` rules of an app; none of one that left Git."""
    known = settings.apps.get(app)
    return tuple(
        Rule(rule.kind, rule.name, rule.namespace, tuple(rule.pointers), tuple(rule.managers))
        for rule in (known.ignore if known else ())
    )


def bounds_of(place: Workplace, environment: EnvironmentSettings) -> Bounds:
    """What may be deployed to the environment."""
    allow = environment.allow
    said_by = f"{place.settings.config.file or CONFIG_FILE}: {environment.section}.allow"
    return Bounds(allow.kinds, allow.namespaces, allow.repositories, said_by)


def prunes(environment: EnvironmentSettings, asked: bool | None = None) -> bool:
    """Whether what left Git is deleted."""
    return bool(environment.destination and environment.destination.prune) if asked is None else asked


def own_plan_key(run: Run) -> bytes | None:
    """The key of secrets' digests that the caller gives, for who may not read the one in the cluster."""
    given = run.environ.get("CI_GITOPS_PLAN_KEY")
    return given.encode(errors="surrogateescape") if given else None


def doubt_of(unrendered: Iterable[Target]) -> str | None:
    """Why nothing is pruned: what left one target may have come to another one, of which nobody knows what it holds."""
    failed = ", ".join(map(str, unrendered))
    return f"{failed} does not render." if failed else None


def leaving_of(site: Site, view: View, belts: Belts, doubt: str | None = None) -> Leaving:
    """What becomes of the objects that a target holds and Git declares no longer; `doubt`: why none of them may go."""
    return leaving(
        view.inventory, view.prepared.keys, view.live.get, failed=view.live.failed, doubt=doubt,
        belts=replace(belts, labelled=site.cluster.alive),
    )  # fmt: skip


def plan_view(
    site: Site, view: View, terms: Terms, *, rules: Iterable[Rule], deletes: Iterable[Compared],
    past: Callable[[Record], Sequence[Manifest]] | None,
) -> Planned:  # fmt: skip
    """The plan of a target as it was seen. `past` renders what an earlier record brought, where that is asked."""
    success = last_success(view.records)

    def applied() -> Iterable[Document]:
        assert success
        assert past
        return site.prepared(view.prepared.target, view.inventory, past(success)).documents

    known = Past(success, applied if success and past else None)
    return plan_target(
        site.cluster, view.prepared, view.live, inventory=view.inventory, terms=terms, rules=rules, past=known,
        deletes=deletes,
    )  # fmt: skip


def refuse_what_is_not_allowed(site: Site, prepared: Prepared, bounds: Bounds) -> None:
    """RefusedError where the environment does not allow an object, or a hook, of the target."""
    documents = [*prepared.documents, *(hook.document for hook in prepared.hooks)]
    only_allowed(site, prepared.target, bounds)(*documents)


def only_allowed(site: Site, target: Target, bounds: Bounds) -> Callable[..., None]:
    """Raises RefusedError for documents of the target that may not be written there."""
    namespace = site.cluster.namespace or None

    def check(*documents: Document) -> None:
        refuse_violations(target, documents, bounds, namespace=namespace, scopes=scopes(site.cluster))

    return check


@dataclass(frozen=True, slots=True)
class Outlook:
    """A target as it was seen, what of it leaves, and what would be done."""

    view: View
    left: Leaving
    planned: Planned
    refusal: RefusedError | None = None  # nothing of it may be done


@dataclass(frozen=True, slots=True)
class Looking:
    """How the targets of a pass are planned."""

    sets: RenderedSets
    settings: Settings
    bounds: Bounds
    prune: bool
    belts: Belts = Belts()  # noqa: RUF009 - frozen
    doubt: str | None = None  # why nothing at all may be pruned

    def at(self, site: Site, view: View, terms: Terms) -> Outlook:
        target = view.prepared.target
        left = leaving_of(site, view, self.belts, self.doubt)
        planned = plan_view(
            site, view, terms, rules=ignored(self.settings, target.app), deletes=left.compared if self.prune else (),
            past=lambda record: self.sets.at(record.revision, target),
        )  # fmt: skip
        if view.gone and not self.prune:
            held = counted(len(view.inventory.members), "object")
            notes = (*planned.plan.notes, f"It left Git; its {held} stay, since pruning is off.")
            planned = replace(planned, plan=replace(planned.plan, notes=notes))
        return Outlook(view, left, planned, self._refusal(site, view, left))

    def _refusal(self, site: Site, view: View, left: Leaving) -> RefusedError | None:
        try:
            refuse_what_is_not_allowed(site, view.prepared, self.bounds)
        except RefusedError as error:
            return error
        if left.refusal and self.prune:
            return RefusedError(left.refusal.message, hint=left.refusal.hint)
        return None
