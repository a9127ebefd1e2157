"""What a pass would do to each target of an environment: read, compared, planned; nothing is written.

`diff` shows it. `deploy` decides by the same calls, so that what was reviewed is what is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ci_gitops.adapters.cluster.base import Cluster, Document
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.git import CommitInfo
from ci_gitops.core.ignoring import Rule
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.pruning import Belts, Leaving, leaving
from ci_gitops.core.records import last_success
from ci_gitops.core.targets import Target
from ci_gitops.core.tenancy import Bounds, refuse_violations
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
    return [
        Site(
            cluster, destinations.ledger(cluster, deadline, commit), share, create_namespace=create_namespace,
            with_gone=with_gone,
        )
        for cluster, share in shares.values()
    ]  # fmt: skip


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
    said_by = f"{place.settings.config.file or CONFIG_FILE}: environments.{environment.name}.allow"
    return Bounds(allow.kinds, allow.namespaces, allow.repositories, said_by)


def prunes(environment: EnvironmentSettings, asked: bool | None = None) -> bool:
    """Whether what left Git is deleted."""
    return bool(environment.destination and environment.destination.prune) if asked is None else asked


def own_plan_key(run: Run) -> bytes | None:
    """The key of secrets' digests that the caller gives, for who may not read the one in the cluster."""
    given = run.environ.get("CI_GITOPS_PLAN_KEY")
    return given.encode(errors="surrogateescape") if given else None


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

    def at(self, site: Site, view: View, terms: Terms) -> Outlook:
        target = view.prepared.target
        left = leaving(
            view.inventory, view.prepared.keys, view.live.get, failed=view.live.failed,
            belts=replace(self.belts, labelled=site.cluster.alive),
        )  # fmt: skip
        planned = plan_target(
            site.cluster, view.prepared, view.live, inventory=view.inventory, terms=terms,
            rules=ignored(self.settings, target.app), past=self._past(site, view),
            deletes=left.compared if self.prune else (),
        )  # fmt: skip
        return Outlook(view, left, planned, self._refusal(site, view, left))

    def _past(self, site: Site, view: View) -> Past:
        success = last_success(view.records)
        if success is None:
            return Past()
        target, revision = view.prepared.target, success.revision

        def applied() -> Iterable[Document]:
            return site.prepared(target, view.inventory, self.sets.at(revision, target)).documents

        return Past(success, applied)

    def _refusal(self, site: Site, view: View, left: Leaving) -> RefusedError | None:
        prepared = view.prepared
        documents = [*prepared.documents, *(hook.document for hook in prepared.hooks)]
        namespace = site.cluster.namespace or None
        try:
            refuse_violations(prepared.target, documents, self.bounds, namespace=namespace, scopes=scopes(site.cluster))
        except RefusedError as error:
            return error
        if left.refusal and self.prune:
            return RefusedError(left.refusal.message, hint=left.refusal.hint)
        return None
