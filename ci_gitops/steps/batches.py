"""What is newer, put together into writes: by policy group, where an intent means the same to all its targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ci_gitops.core.images import ImageArgument
from ci_gitops.core.images_in_use import ImageInUse
from ci_gitops.core.intents import Intent
from ci_gitops.core.scanning import Finding
from ci_gitops.steps.followed import Followed, Scope


@dataclass(frozen=True, slots=True)
class Newer:
    """A newer version, of what, and which of the findings says so."""

    followed: Followed
    finding: Finding
    number: int

    @property
    def scope(self) -> Scope:
        return self.followed.scope

    @property
    def argument(self) -> ImageArgument | None:
        used = self.followed.used
        if not isinstance(used, ImageInUse):
            return None
        return ImageArgument(used.name, None, self.finding.newest, self.finding.digest)

    @property
    def chart(self) -> tuple[str, str] | None:
        return None if isinstance(self.followed.used, ImageInUse) else (self.finding.name, str(self.finding.newest))

    def agrees(self, others: Sequence[Newer]) -> bool:
        """Whether a write of `others`, all of one other target, may write this too: an intent is for all targets."""
        stock = others[0].followed.stock
        if (argument := self.argument) is not None:
            return not stock.has_image(argument.name) or any(other.argument == argument for other in others)
        assert self.chart
        return not stock.has_chart(self.chart[0]) or any(other.chart == self.chart for other in others)


@dataclass(slots=True)
class Batch:
    """Targets of one policy group that are written together."""

    rule: str
    group: str | None
    targets: list[list[Newer]] = field(default_factory=list)

    def takes(self, target: Sequence[Newer], rule: str, group: str | None) -> bool:
        first, scope = self.targets[0][0].scope, target[0].scope
        same = (first.place.url, first.place.branch, first.environment.name, self.rule, self.group)
        if same != (scope.place.url, scope.place.branch, scope.environment.name, rule, group):
            return False
        return all(
            all(one.agrees(known) for one in target) and all(one.agrees(target) for one in known)
            for known in self.targets
        )

    @property
    def all(self) -> list[Newer]:
        return [one for target in self.targets for one in target]

    @property
    def intent(self) -> Intent:
        images = dict.fromkeys(one.argument for one in self.all if one.argument)
        charts = dict.fromkeys(one.chart for one in self.all if one.chart)
        return Intent(tuple(images), charts=tuple(charts))


def batches(newer: Iterable[Newer], write: str | None) -> list[Batch]:
    """By environment and group, or app; for a push everything of an environment that goes together."""
    targets: dict[tuple[str, str], list[Newer]] = {}
    for one in newer:
        targets.setdefault((one.scope.target.environment, one.scope.target.app), []).append(one)
    found: list[Batch] = []
    for (_, app), target in targets.items():
        scope = target[0].scope
        rule = write or scope.environment.write
        named = scope.place.settings.app(app).group
        group = (f"group {named}" if named else f"app {app}") if rule == "merge-request" else None
        batch = next((each for each in found if each.takes(target, rule, group)), None)
        if batch is None:
            batch = Batch(rule, group)
            found.append(batch)
        batch.targets.append(target)
    return found
