"""Plans and applies manifests of one target in one namespace, as a pass does, without records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.core.autoscaling import autoscaled
from ci_gitops.core.forthcoming import forthcoming
from ci_gitops.core.ignoring import Rule
from ci_gitops.core.inventory import Inventory, Key, Member
from ci_gitops.core.manifests import parse
from ci_gitops.core.plan import Change
from ci_gitops.core.prepared import Prepared, prepare
from ci_gitops.core.records import Record
from ci_gitops.core.targets import Target
from ci_gitops.steps.observing import observe, scopes
from ci_gitops.steps.planning import Past, Planned, Terms, plan_target
from ci_gitops.steps.taking import apply_over


@dataclass
class Planner:
    cluster: Cluster
    namespace: str
    app: str = "web"
    source: str = "acme"
    rules: Iterable[Rule] = ()
    terms: dict[str, Any] = field(default_factory=dict)
    succeeded: Record | None = None
    applied: Callable[[], Iterable[Any]] | None = None
    members: tuple[Member, ...] = ()

    @property
    def inventory(self) -> Inventory:
        return Inventory(Target(self.app, "test", "."), self.source, self.namespace, self.members)

    def prepared(self, text: str) -> Prepared:
        manifests = parse(text, "test")
        known = scopes(self.cluster, forthcoming(manifest.document for manifest in manifests))
        return prepare(
            self.inventory.target, manifests, namespace=self.namespace, scopes=known, inventory=self.inventory
        )

    def plan(self, text: str, **terms: Any) -> Planned:
        prepared = self.prepared(text)
        live = observe(self.cluster, [prepared], [self.inventory])
        given = {
            "autoscaled": autoscaled([*live.autoscalers, *prepared.documents]),
            "forthcoming": forthcoming(prepared.documents),
            **self.terms,
            **terms,
        }
        past = Past(self.succeeded, self.applied)
        return plan_target(
            self.cluster, prepared, live, inventory=self.inventory, terms=Terms(**given), rules=self.rules, past=past
        )

    def deploy(self, text: str, **terms: Any) -> Planned:
        """Apply what is planned, and remember it as the last that succeeded."""
        planned = self.plan(text, **terms)
        assert not planned.troubles, planned.troubles
        for work in planned.work:
            assert work.document is not None
            resource = self.cluster.resource(work.document["apiVersion"], work.key.kind)
            if work.live is None or resource is None:
                self.cluster.apply(work.document, force=work.force)
            elif work.recreate:
                self.cluster.delete(resource, work.key.namespace, work.key.name)
                self.cluster.apply(work.document, force=work.force)
            else:
                apply_over(self.cluster, resource, work.live, work.document, force=work.force, adopted=work.adopted)
        documents = planned.prepared.documents
        self.applied = lambda: documents
        self.succeeded = Record(
            name="1", target=self.inventory.target, source=self.source, revision="1", outcome="succeeded",
            rendered=planned.prepared.rendered, started="2026-01-01T00:00:00Z",
        )  # fmt: skip
        self.members = tuple(Member(Key.of(each), "v1") for each in documents)
        return planned

    def forgets(self) -> Planner:
        """The same target without a record."""
        return replace(self, succeeded=None, applied=None, members=())


def changes(planned: Planned) -> list[Change]:
    return [change for change in planned.plan.changes if change.operation != "unchanged"]


def operations(planned: Planned) -> list[tuple[str, str]]:
    return [(change.operation, change.object.kind) for change in planned.plan.changes]


def fields(planned: Planned) -> dict[str, tuple[Any, Any]]:
    return {field.path: (field.old, field.new) for change in planned.plan.changes for field in change.fields}
