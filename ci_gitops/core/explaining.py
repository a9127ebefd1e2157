"""Why an object is not well: the way down to what holds it up, what the cluster said about that, and what to do."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci_gitops.core.advice import advice_on
from ci_gitops.core.family import Node
from ci_gitops.core.health import Health
from ci_gitops.core.health.fields import at, mappings, number, text
from ci_gitops.core.inventory import Key
from ci_gitops.core.text import counted, plain
from ci_gitops.core.waiting import Link, is_settled

Document = Mapping[str, Any]
LOG_LINES = 20
_CULPRITS = 3
_EVENTS = 5
_LONGEST_LINE = 400
_SHORTEST_SECRET = 6
MASK = "[masked]"
# What they say of a claim is told as if it were usual.
_EMPTY = re.compile(r"Error: \w+")  # `Error: ErrImagePull`, after the event that says why
_NORMAL = frozenset({"FailedBinding", "ExternalProvisioning", "WaitForFirstConsumer", "WaitForPodScheduled"})


@dataclass(frozen=True, slots=True)
class Saying:
    """An event: what a component of the cluster said about an object, how often, and when last."""

    key: Key
    reason: str
    message: str
    count: int
    last: str

    @property
    def document(self) -> dict[str, Any]:
        return {"object": identity(self.key), "reason": self.reason, "message": self.message, "count": self.count,
                "last": self.last}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Log:
    """The last lines of one container; `previous`: of the one before its last restart."""

    pod: Key
    container: str
    lines: tuple[str, ...]
    previous: bool = False

    @property
    def document(self) -> dict[str, Any]:
        return {"pod": self.pod.name, "namespace": self.pod.namespace, "container": self.container,
                "previous": self.previous, "lines": list(self.lines)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trouble:
    """One object that is not well. `trails` lead down to what holds it up, one for each different reason."""

    key: Key
    health: Health
    trails: tuple[tuple[Link, ...], ...] = ()
    events: tuple[Saying, ...] = ()
    logs: tuple[Log, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        causes = [[{"object": identity(link.key), "health": shown(link.health)} for link in trail]
                  for trail in self.trails]  # fmt: skip
        return {
            "object": identity(self.key),
            "health": shown(self.health),
            "causes": causes,
            "events": [each.document for each in self.events],
            "logs": [each.document for each in self.logs],
            "advice": list(self.advice),
        }


@dataclass(frozen=True, slots=True)
class Container:
    """A container whose log says something; `previous` is its last run."""

    pod: Key
    name: str
    previous: bool


def identity(key: Key) -> dict[str, str]:
    return {"group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name}


def shown(health: Health) -> dict[str, str]:
    return {"status": health.status, "message": health.message}


def culprits(root: Node) -> tuple[tuple[Node, ...], ...]:
    """The ways down to what holds `root` up, without the root: one for each different reason, at most three."""
    found: dict[tuple[str, ...], tuple[Node, ...]] = {}
    for trail in _trails(root):
        deepest = trail[-1]
        found.setdefault((deepest.key.kind, _without_names(deepest)), trail)
    ranked = sorted(found.values(), key=lambda trail: trail[-1].health.status != "degraded")
    return tuple(ranked[:_CULPRITS])


def _trails(node: Node) -> Iterator[tuple[Node, ...]]:
    """The newest first: of several tries of a job it is the last one that counts."""
    for child in sorted(node.current(), key=_created, reverse=True):
        if is_settled(child.health):
            continue
        deeper = list(_trails(child))
        if deeper:
            yield from ((child, *trail) for trail in deeper)
        else:
            yield (child,)


def _created(node: Node) -> str:
    return text(node.document, "metadata", "creationTimestamp")


def _without_names(node: Node) -> str:
    """The message as equal pods have it."""
    return node.health.message.replace(node.key.name, "")


def containers(trails: Iterable[Sequence[Node]]) -> tuple[Container, ...]:
    """The containers at the ends of the ways down that do not run as they should."""
    found: list[Container] = []
    for trail in trails:
        node = (
            trail[-1] if trail[-1].key.kind == "Pod" else next((each for each in trail if each.key.kind == "Pod"), None)
        )
        if node is not None:
            found += _failing(node)
    return tuple(dict.fromkeys(found))


def _failing(node: Node) -> Iterator[Container]:
    pod = node.document
    for status in mappings(pod, "status", "initContainerStatuses") + mappings(pod, "status", "containerStatuses"):
        ended, before = at(status, "state", "terminated"), at(status, "lastState", "terminated")
        if ended is not None and number(ended, "exitCode") == 0:
            continue
        runs = at(status, "state", "running") is not None
        if ended is None and before is None and (not runs or at(status, "ready") is True):
            continue
        yield Container(node.key, text(status, "name"), previous=ended is None and before is not None)


def sayings(events: Iterable[Document], about: Mapping[str, Key]) -> tuple[Saying, ...]:
    """What events say about objects, given by UID: warnings, newest first, each message once."""
    found: dict[tuple[Key, str, str], Saying] = {}
    for event in events:
        key = about.get(text(event, "involvedObject", "uid"))
        reason = text(event, "reason")
        if key is None or (text(event, "type") != "Warning" and reason not in _NORMAL):
            continue
        message = line(text(event, "message"))
        if _EMPTY.fullmatch(message):
            continue
        last = text(event, "lastTimestamp") or text(event, "eventTime") or text(event, "metadata", "creationTimestamp")
        count = number(event, "count", default=0) or number(event, "series", "count", default=1)
        earlier = found.get((key, reason, message))
        if earlier:
            count, last = count + earlier.count, max(last, earlier.last)
        found[key, reason, message] = Saying(key, reason, message, count, last)
    return tuple(sorted(found.values(), key=lambda each: each.last, reverse=True))


def trouble(root: Node, events: Sequence[Saying], logs: Sequence[Log], served: frozenset[str] = frozenset()) -> Trouble:
    """All that is known about one object that is not well."""
    trails = culprits(root)
    concerned = {root.key: root} | {node.key: node for trail in trails for node in trail}
    own = tuple(each for each in events if each.key in concerned)[:_EVENTS]
    ends = [trail[-1] for trail in trails] or [root]
    advice: dict[str, None] = {}
    for node in ends:
        said = [each.message for each in own if each.key == node.key]
        advice.update(dict.fromkeys(advice_on(node.document, said, served)))
    pods = {node.key for trail in trails for node in trail} | {root.key}
    links = tuple(tuple(Link(node.key, node.health) for node in trail) for trail in trails)
    return Trouble(root.key, root.health, links, own, tuple(each for each in logs if each.pod in pods), tuple(advice))


def line(written: str) -> str:
    """Text of others as one line that is fit to be shown."""
    flat = " ".join(plain(written).split())
    return flat if len(flat) <= _LONGEST_LINE else f"{flat[: _LONGEST_LINE - 2]} …"


def log_lines(lines: Iterable[str], secrets: Iterable[str] = ()) -> tuple[str, ...]:
    """The lines of a log, without these secrets, each cut at a length that a job's log can bear."""
    hidden = [form for value in secrets for form in _forms(value)]
    kept = [_without(plain(each).replace("\n", " ").rstrip(), hidden) for each in lines]
    return tuple(each if len(each) <= _LONGEST_LINE else f"{each[: _LONGEST_LINE - 2]} …" for each in kept)


def _forms(secret: str) -> Iterator[str]:
    """How a process may print what it was given; what is shorter would hide ordinary words."""
    for part in (secret, *secret.splitlines()):
        if len(part.strip()) >= _SHORTEST_SECRET:
            yield part.strip()
            yield base64.b64encode(part.strip().encode()).decode()


def _without(line: str, hidden: Iterable[str]) -> str:
    for each in sorted(hidden, key=len, reverse=True):
        line = line.replace(each, MASK)
    return line


def secret_names(pod: Document) -> tuple[str, ...]:
    """The Secrets whose values a pod's containers are given."""
    found: dict[str, None] = {}
    containers = (*mappings(pod, "spec", "initContainers"), *mappings(pod, "spec", "containers"))
    for each in containers:
        found.update(dict.fromkeys(text(env, "valueFrom", "secretKeyRef", "name") for env in mappings(each, "env")))
        found.update(dict.fromkeys(text(env, "secretRef", "name") for env in mappings(each, "envFrom")))
    for volume in mappings(pod, "spec", "volumes"):
        found[text(volume, "secret", "secretName")] = None
        found.update(dict.fromkeys(text(part, "secret", "name") for part in mappings(volume, "projected", "sources")))
    return tuple(name for name in found if name)


def secret_values(secret: Document) -> tuple[str, ...]:
    """What a Secret holds, as far as it is text."""
    data = at(secret, "data")
    found = []
    for value in data.values() if isinstance(data, Mapping) else ():
        try:
            found.append(base64.b64decode(str(value), validate=True).decode())
        except ValueError:
            continue
    return tuple(found)


def trouble_lines(found: Trouble) -> list[str]:
    """For a person at two in the morning: what happened, to what, why, and what now."""
    lines = [f"{found.key} is {found.health.status}: {found.health.message}"]
    for trail in found.trails:
        for depth, link in enumerate(trail, 1):
            lines.append(f"{'  ' * depth}{link.key}: {link.health.message}")
    events = _new_in(found)
    if events:
        lines.append("  What the cluster said:")
        lines += [f"    {each.key}: {each.reason}: {each.message}{_often(each)}" for each in events]
    for log in found.logs:
        which = " before its last restart" if log.previous else ""
        lines.append(f"  The last lines of container {log.container} of {log.pod}{which}:")
        lines += [f"    | {each}" for each in log.lines] or ["    (it wrote nothing)"]
    lines += [f"  What to do: {each}" for each in found.advice]
    return lines


def _new_in(found: Trouble) -> list[Saying]:
    """The events that say more than the way down does: a container's reason repeats what the kubelet said of it."""
    said = " ".join((found.health.message, *(link.health.message for trail in found.trails for link in trail)))
    return [each for each in found.events if not _repeats(each.message, said)]


def _repeats(message: str, said: str) -> bool:
    """Whether it was said, as it is or without its first words: `Failed to pull image "x": ` before the reason."""
    _, _, reason = message.partition(": ")
    return message in said or (bool(reason) and reason in said)


def _often(saying: Saying) -> str:
    return f" ({counted(saying.count, 'time')})" if saying.count > 1 else ""


def tree_lines(node: Node, *, indent: str = "") -> list[str]:
    """An object and what came from it, for `status --tree`."""
    lines = [f"{indent}{node.key}: {node.health.status}: {node.health.message}"]
    for child in node.children:
        lines += tree_lines(child, indent=f"{indent}  ")
    return lines
