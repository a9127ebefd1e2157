"""The gates that look at where a promotion comes from: does exactly this run there, is it well, and for how long.

What a merge request brings are the images and chart versions that its targets declare at its head and did not declare
where it left the branch. What runs is `core/running`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ci_gitops.core.durations import format_duration
from ci_gitops.core.gates import GateState
from ci_gitops.core.holds import Hold, same_image
from ci_gitops.core.images import ImageRef
from ci_gitops.core.running import Running
from ci_gitops.core.targets import Target
from ci_gitops.errors import UsageError


@dataclass(frozen=True, slots=True)
class Brought:
    """What a merge request makes of one target: references that are new there, and charts with their new versions."""

    target: Target
    images: tuple[str, ...] = ()
    charts: tuple[tuple[str, str], ...] = ()


def healthy_gate(
    source: str,
    brought: Sequence[Brought],
    running: Sequence[Running],
    charts: Mapping[str, Mapping[str, str]] | None = None,
) -> GateState:
    """`charts` are the versions that run in the source, by app."""
    if not brought:
        return GateState("healthy", True, "it changes no app")
    trouble = _trouble(source, brought, running, charts or {})
    if trouble:
        return GateState("healthy", False, "; ".join(trouble))
    by_app = {each.target.app: each for each in running}
    told = [f"{each.target.app} in {source}: {_bare(by_app[each.target.app].reason)}" for each in brought]
    same = any(each.images or each.charts for each in brought)
    return GateState("healthy", True, "; ".join(["exactly this runs there", *told] if same else told))


def soak_gate(
    source: str,
    seconds: int,
    now: int,
    brought: Sequence[Brought],
    running: Sequence[Running],
    charts: Mapping[str, Mapping[str, str]] | None = None,
) -> GateState:
    """How long exactly this has been healthy there, by the deployment records: the youngest app decides."""
    if not brought:
        return GateState("soak", True, "it changes no app")
    trouble = _trouble(source, brought, running, charts or {})
    if trouble:
        return GateState("soak", False, f"has not begun: {'; '.join(trouble)}")
    apps = {each.target.app for each in brought}
    youngest = min(
        (each for each in running if each.target.app in apps), key=lambda each: (each.since != 0, -each.since)
    )
    if not youngest.since:
        return GateState("soak", False, f"nothing says since when {youngest.target.app} runs in {source}")
    over, wanted = youngest.since + seconds, format_duration(timedelta(seconds=seconds))
    since = f"{youngest.target.app} is healthy in {source} since {stamped(youngest.since)}"
    if now >= over:
        return GateState("soak", True, f"{since}, {_for(now - youngest.since)} (soak: {wanted})")
    return GateState("soak", False, f"{since}; {wanted} are over at {stamped(over)}, in {_for(over - now)}", until=over)


def no_source(gate: str, environment: str) -> GateState:
    """For an environment that nothing is promoted to: such a gate can never hold."""
    return GateState(
        gate, False, f"{environment} has no environment before it, so nobody can tell; name one in "
        f"environments.{environment}.from, or take the gate out",
    )  # fmt: skip


def held_things(brought: Sequence[Brought], holds: Sequence[Hold]) -> tuple[str, ...]:
    """A sentence for each thing that is brought to one environment and is held there."""
    told = []
    for each in brought:
        app, environment = each.target.app, each.target.environment
        stopping = next((hold for hold in holds if hold.stops(each.target)), None)
        if stopping:
            told.append(f"{app} in {environment} is {stopping}; `{stopping.release(environment)}` lifts it")
        for image in each.images:
            barring = next((hold for hold in holds if hold.image and hold.bars(app, image)), None)
            if barring:
                told.append(f"{image} in {app} is {barring}; `{barring.release(environment)}` lifts it")
    return tuple(told)


def standing_holds(
    environment: str, source: str, holds: Sequence[Hold], running: Sequence[Running] | None
) -> GateState:
    """What is held in an environment, before anything is brought there.

    A held artifact is in nobody's way where the source runs (`running`) another one; None where that is not known.
    """
    told, clear = [], True
    for hold in holds:
        met = hold.image is None or running is None or _meets(hold, running)
        clear = clear and not met
        aside = "" if met else f" ({source} runs another one)"
        told.append(f"{hold.subject or environment} is {hold}{aside}; `{hold.release(environment)}` lifts it")
    return GateState("hold", clear, "; ".join(told))


def _meets(hold: Hold, running: Sequence[Running]) -> bool:
    return any(hold.bars(each.target.app, image) for each in running for image in each.images)


def stamped(moment: int) -> str:
    """`2026-11-21T20:15:00Z`."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _trouble(
    source: str, brought: Sequence[Brought], running: Sequence[Running], charts: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Why the source does not show that all of it is well; nothing where it does."""
    by_app = {each.target.app: each for each in running}
    told = []
    for each in brought:
        app = each.target.app
        there = by_app.get(app)
        if there is None:
            told.append(f"{source} has no {app}")
        elif not there.deployed or not there.healthy:
            told.append(f"{app} in {source}: {_bare(there.reason)}")
        else:
            told += [_other(source, app, image, there.images) for image in each.images if not _runs(image, there)]
            versions = charts.get(app, {})
            told += [
                f"{source} runs {versions.get(chart, 'no version')} of the chart {chart}, not {version}"
                for chart, version in each.charts
                if versions.get(chart) != version
            ]
    return told


def _other(source: str, app: str, image: str, images: Sequence[str]) -> str:
    """What runs there instead of the image."""
    wanted = _parsed(image)
    instead = [text for text in images if wanted and (one := _parsed(text)) and same_image(one.name, wanted.name)]
    return f"{source} runs {' and '.join(instead) or f'no {wanted.name if wanted else image}'} in {app}, not {image}"


def _runs(image: str, running: Running) -> bool:
    wanted = _parsed(image)
    return any(image == text or (wanted and (one := _parsed(text)) and _same(wanted, one)) for text in running.images)


def _same(wanted: ImageRef, running: ImageRef) -> bool:
    """The same artifact: by digest where both have one, under whatever name; else by name and tag."""
    if wanted.digest and running.digest:
        return wanted.digest == running.digest
    return same_image(wanted.name, running.name) and wanted.tag is not None and wanted.tag == running.tag


def _parsed(text: str) -> ImageRef | None:
    try:
        return ImageRef.parse(text)
    except UsageError:  # a placeholder's name
        return None


def _for(seconds: int) -> str:
    """To the minute where it is longer than two."""
    rounded = seconds - seconds % 60 if seconds >= 120 else seconds
    return format_duration(timedelta(seconds=rounded))


def _bare(sentence: str) -> str:
    return sentence.rstrip(".")
