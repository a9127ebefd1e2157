"""What `scan` follows: the images and charts for which their app has a policy, and what cannot be followed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ci_gitops.core.chart_sources import ChartInUse, charts_in_use
from ci_gitops.core.holds import Hold, same_image
from ci_gitops.core.images_in_use import ImageInUse, images_in_use, templates_among
from ci_gitops.core.scanning import Finding, Policy
from ci_gitops.core.targets import Target
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.update_values import chart_files
from ci_gitops.core.update_work import TargetFiles
from ci_gitops.core.uses import kustomization_file, walk
from ci_gitops.core.versions import Range
from ci_gitops.errors import EditError
from ci_gitops.steps.workplace import Workplace

if TYPE_CHECKING:
    from ci_gitops.settings import EnvironmentSettings
    from ci_gitops.settings.apps import ImagePolicy


@dataclass(frozen=True, slots=True)
class Scope:
    """One target where it is written, and what is held there."""

    place: Workplace
    environment: EnvironmentSettings
    files: TargetFiles
    holds: tuple[Hold, ...]

    @property
    def target(self) -> Target:
        return self.files.target


@dataclass(frozen=True, slots=True)
class Stock:
    """The images and charts of one target."""

    images: Mapping[str, ImageInUse]
    charts: Mapping[str, ChartInUse]

    def has_image(self, name: str) -> bool:
        return any(name in image.names for image in self.images.values())

    def has_chart(self, name: str) -> bool:
        return any(chart.is_called(name) for chart in self.charts.values())


@dataclass(frozen=True, slots=True)
class Followed:
    """One image or chart, with the policy that its app has for it."""

    scope: Scope
    stock: Stock
    policy: Policy
    used: ImageInUse | ChartInUse

    @property
    def kind(self) -> Literal["image", "chart"]:
        return "image" if isinstance(self.used, ImageInUse) else "chart"

    @property
    def current(self) -> str | None:
        return self.used.tag if isinstance(self.used, ImageInUse) else self.used.version

    def found(self, outcome: str, **fields: object) -> Finding:
        target, used = self.scope.target, self.used
        finding = Finding(target.environment, target.app, self.kind, used.name, str(self.policy), outcome, self.current)
        if isinstance(used, ImageInUse):
            finding = replace(finding, current_digest=used.digest)
        return replace(finding, **fields)  # type: ignore[arg-type]


def policy_of(settings: ImagePolicy) -> Policy:
    return Policy(
        settings.kind, Range.parse(settings.range) if settings.range else None, settings.allow, settings.ignore,
        settings.minimum_age.total_seconds() if settings.minimum_age else 0.0, settings.platforms, settings.tag,
    )  # fmt: skip


def followed(scope: Scope) -> Iterator[Followed | Finding]:
    """Everything of a target that a policy names: to be looked up, or a finding that says why it is not."""
    policies = scope.place.settings.app(scope.target.app).policies
    if not policies:
        return
    try:
        stock = stock_of(scope)
    except EditError as error:
        for name, settings in policies.items():
            yield _left(scope, name, settings, error.message)
        return
    for name, settings in policies.items():
        policy = policy_of(settings)
        images = [each for each in stock.images.values() if any(same_image(name, one) for one in each.names)]
        charts = [each for each in stock.charts.values() if each.is_called(name)]
        if not images and not charts:
            yield _left(scope, name, settings, _unknown(scope, stock, name))
        uses: list[ImageInUse | ChartInUse] = [*images, *charts]
        for used in uses:
            one = Followed(scope, stock, policy, used)
            yield one.found("left", reason=used.problem) if used.problem else one


def stock_of(scope: Scope) -> Stock:
    """EditError where a file of the target cannot be read."""
    tree, target = scope.place.tree, scope.target
    texts = tree.read(chart_files(tree, target))
    around: Mapping[str, str] = {}
    if kustomization_file(tree, target.path):
        around = tree.read([path for path in walk(tree, target.path).images if path not in texts])
    return Stock(images_in_use(scope.files, tree), charts_in_use(target, texts, around))


def without_policy(scope: Scope) -> list[str]:
    """The images and charts of a target that are left alone, since nothing says how to follow them."""
    policies = scope.place.settings.app(scope.target.app).policies
    try:
        stock = stock_of(scope)
    except EditError:
        return []
    images = [each.reference for each in stock.images.values()
              if not any(same_image(name, one) for name in policies for one in each.names)]  # fmt: skip
    charts = [f"chart {each.name}" for each in stock.charts.values() if not any(map(each.is_called, policies))]
    return images + charts


def _left(scope: Scope, name: str, settings: ImagePolicy, reason: str) -> Finding:
    policy = str(policy_of(settings))
    return Finding(scope.target.environment, scope.target.app, "image", name, policy, "left", reason=reason)


def _unknown(scope: Scope, stock: Stock, name: str) -> str:
    known = {one for image in stock.images.values() for one in image.names}
    known |= {one for chart in stock.charts.values() for one in chart.names}
    reason = f"{scope.target} uses no image or chart of this name."
    templates = templates_among(scope.files, scope.place.tree)
    if templates:
        reason += f" {templates[0]} is a template, in which it could not be seen."
    hint = did_you_mean(name, known, "It uses")
    return f"{reason} {hint}" if hint else reason
