"""What runs, as the document `Status` and as a table with the reasons below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci_gitops.core.family import Node
from ci_gitops.core.images import ImageRef
from ci_gitops.core.plan import Identity
from ci_gitops.errors import UsageError
from ci_gitops.output import styled, table
from ci_gitops.results import Result
from ci_gitops.steps.state import State

_STYLES = {
    "synced": "green", "out-of-sync": "yellow", "unknown": "yellow",
    "healthy": "green", "progressing": "yellow", "suspended": "yellow", "missing": "yellow", "degraded": "red",
}  # fmt: skip
_CALM = ("healthy", "suspended")
_EFFECTS = ("create", "update", "delete")
_DIGEST_SHOWN = len("sha256:") + 7


def status_result(states: Sequence[State], trees: Mapping[str, tuple[Node, ...]] | None = None) -> Result:
    """`trees` hold what came from each target's objects, by the target's name."""
    grown = trees or {}
    items = [_item(state, grown.get(str(state.target))) for state in states]
    return Result("Status", {"items": items}, "\n".join(_lines(states, grown)))


def _item(state: State, nodes: Sequence[Node] | None) -> dict[str, Any]:
    health, hold = state.health, state.hold
    item = {
        "target": {"app": state.target.app, "environment": state.target.environment},
        "destination": state.destination,
        "revision": state.revision,
        "sync": state.sync,
        "health": {"status": health.status, "message": health.message} if health else None,
        "images": list(state.images),
        "since": state.since,
        "changes": dict(state.changes),
        "record": state.record.document if state.record else None,
        "hold": {"reason": hold.reason, "by": hold.by, "at": hold.at} if hold else None,
        "message": state.message,
    }
    return item if nodes is None else {**item, "objects": [_node(node, alive=health is not None) for node in nodes]}


def _node(node: Node, *, alive: bool) -> dict[str, Any]:
    return {
        "object": Identity.of(node.document).document,
        "health": {"status": node.health.status, "message": node.health.message} if alive else None,
        "children": [_node(child, alive=alive) for child in node.children],
    }


def _lines(states: Sequence[State], trees: Mapping[str, tuple[Node, ...]]) -> Iterator[str]:
    if not states:
        yield "There is nothing to look at."
        return
    yield table(("ENVIRONMENT", "APP", "SYNC", "HEALTH", "REVISION", "SINCE", "IMAGES"), [_row(one) for one in states])
    if not any(state.deployed for state in states):
        names = ", ".join(dict.fromkeys(state.target.environment for state in states))
        yield f"Nothing was deployed to {names} yet; `ci-gitops deploy` does it."
        states = [state for state in states if state.message or state.hold]
    for state in states:
        yield from (f"  {state.target}: {reason}" for reason in _reasons(state))
        nodes = trees.get(str(state.target), ())
        if nodes:
            yield f"  {styled('bold', str(state.target))}"
        for node in nodes:
            yield from _branch(node, 2, alive=state.health is not None)


def _row(state: State) -> tuple[str, ...]:
    return (
        state.target.environment,
        state.target.app,
        _styled(state.sync),
        _styled(state.health.status) if state.health else "-",
        (state.revision or "-")[:12],
        _time(state.since),
        ", ".join(_short(image) for image in state.images) or "-",
    )


def _reasons(state: State) -> Iterator[str]:
    """What a person wants to know of it beyond the table."""
    if state.hold:
        yield f"It is {state.hold}."
    if state.message:
        yield state.message
    if state.deployed and state.health and state.health.status not in _CALM:
        yield state.health.message
    counts = [f"{count} to {name}" for name, count in state.changes.items() if name in _EFFECTS]
    if counts and state.deployed and state.sync == "out-of-sync":
        yield f"A deploy has {', '.join(counts)}."


def _branch(node: Node, depth: int, *, alive: bool) -> Iterator[str]:
    reason = "" if node.health.status in _CALM else f": {node.health.message}"
    yield f"{'  ' * depth}{node.key}" + (f" {_styled(node.health.status)}{reason}" if alive else "")
    for child in node.children:
        yield from _branch(child, depth + 1, alive=alive)


def _styled(word: str) -> str:
    return styled(_STYLES[word], word) if word in _STYLES else word


def _time(text: str | None) -> str:
    """RFC 3339 to the second."""
    return f"{text[:19]}Z" if text else "-"


def _short(image: str) -> str:
    """An image without its registry and with a digest that fits into a table."""
    try:
        reference = ImageRef.parse(image)
    except UsageError:
        return image
    name = reference.name.rpartition("/")[2]
    digest = f"@{reference.digest[:_DIGEST_SHOWN]}" if reference.digest and not reference.tag else ""
    return f"{name}:{reference.tag}" if reference.tag else name + digest
