"""What registries, chart repositories and GitLab say of what is followed, and which version is taken for it.

The servers are asked side by side, each one thing after the other: a limit of requests is the server's, and one that
does not answer keeps nobody else waiting.
"""

from __future__ import annotations

import queue
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ci_gitops.core.chart_sources import ChartInUse, ChartSource
from ci_gitops.core.images import ImageRef
from ci_gitops.core.images_in_use import ImageInUse
from ci_gitops.core.scanning import (
    Choice,
    Facts,
    Finding,
    Policy,
    Ranking,
    choose,
    rank,
    rank_by_time,
    to_be_dated,
    variant_of,
)
from ci_gitops.core.tenancy import allows
from ci_gitops.core.versions import Version
from ci_gitops.errors import CiGitopsError, RefusedError, RegistryError
from ci_gitops.run import Run
from ci_gitops.steps.followed import Followed
from ci_gitops.steps.servers import Servers

_AT_ONCE = 8  # servers
_MOST_DATED = 50  # tags of an image whose times are asked for one by one
_MOST_LOOKED_INTO = 20  # candidates whose age or platforms are asked for


@dataclass(frozen=True, slots=True)
class Answer:
    """A finding; `error` is why there is no better one."""

    finding: Finding
    error: CiGitopsError | None = None


def look_up(
    run: Run, wanted: Sequence[Followed], ask: Callable[[str], Servers], now: float | None = None
) -> list[Answer]:
    """One answer for each, in their order. `ask` makes what speaks to one host."""
    moment = time.time() if now is None else now
    hosts: dict[str, list[int]] = {}
    for number, one in enumerate(wanted):
        hosts.setdefault(_host(one), []).append(number)
    told: queue.SimpleQueue[list[tuple[int, Answer]] | BaseException] = queue.SimpleQueue()
    work: queue.SimpleQueue[str] = queue.SimpleQueue()
    for host in hosts:
        work.put(host)

    def serve() -> None:
        while True:
            try:
                host = work.get_nowait()
            except queue.Empty:
                return
            try:
                servers = ask(host)
                told.put([(number, _answered(servers, wanted[number], moment)) for number in hosts[host]])
            except BaseException as error:  # a bug: it is raised where it is seen
                told.put(error)

    for _ in range(min(_AT_ONCE, len(hosts))):
        # Daemons: what hangs for longer than somebody wants to wait must not keep the process.
        threading.Thread(target=serve, daemon=True, name="scan").start()
    answers: dict[int, Answer] = {}
    for _ in hosts:
        found = told.get()
        if isinstance(found, BaseException):
            raise found
        answers |= dict(found)
    return [answers[number] for number in range(len(wanted))]


def _host(one: Followed) -> str:
    if isinstance(one.used, ImageInUse):
        return ImageRef(one.used.pulled).registry
    return one.used.source.host if one.used.source else ""


def _answered(servers: Servers, one: Followed, now: float) -> Answer:
    try:
        servers.must_answer()
        found = _image(servers, one, one.used, now) if isinstance(one.used, ImageInUse) else _chart(servers, one, now)
        return Answer(found)
    except CiGitopsError as error:
        servers.failed(error)
        return Answer(one.found("failed", reason=error.message), error)


# Images


def _image(servers: Servers, one: Followed, image: ImageInUse, now: float) -> Finding:
    policy = one.policy
    if policy.kind == "digest":
        return _digest(servers, one, image, now)
    if not image.tag:
        pinned = "it is pinned by its digest alone" if image.digest else "it has no tag"
        return one.found("left", reason=f"{pinned}, so nothing can be newer: write the tag beside it once")
    variant = variant_of(image.tag) if policy.kind == "semver" and not policy.allow else None
    if variant:
        return one.found(
            "left", reason=f"{image.tag} is the variant {variant!r}: say by `allow` which tags are like it"
        )
    repository = ImageRef(image.pulled).repository
    tags = servers.tags(repository)

    def ref(tag: str) -> ImageRef:
        return ImageRef(image.pulled, tag)

    def look(tag: str) -> Facts | None:
        return _looked(servers, policy, ref(tag))

    ranking = _ranked(servers, policy, image.tag, tags, ref)
    choice = choose(policy, ranking, look, _bars(one, image), now, _MOST_LOOKED_INTO)
    return _found(one, choice)


def _ranked(
    servers: Servers, policy: Policy, current: str, tags: Iterable[str], ref: Callable[[str], ImageRef]
) -> Ranking:
    if policy.kind != "newest":
        return rank(policy, current, tags)
    dated, note = to_be_dated(policy, current, tags, _MOST_DATED)
    asked = {tag: servers.pushed(ref(tag)) or servers.facts(ref(tag), times=True) for tag in (*dated, current)}
    facts = {tag: found for tag, found in asked.items() if found}
    ranking = rank_by_time(current, facts)
    return replace(ranking, note="; ".join(filter(None, (note, ranking.note))))


def _looked(servers: Servers, policy: Policy, ref: ImageRef) -> Facts | None:
    """What the policy asks of one candidate."""
    pushed = servers.pushed(ref) if policy.minimum_age else None
    wants_time = bool(policy.minimum_age) and pushed is None
    facts = servers.facts(ref, times=wants_time, platforms=bool(policy.platforms))
    return replace(facts, created=pushed.created) if facts and pushed else facts


def _digest(servers: Servers, one: Followed, image: ImageInUse, now: float) -> Finding:
    """The tag stays (or becomes the policy's), and the digest is what it has now, forwards or back."""
    tag = one.policy.tag or image.tag
    if not tag:
        return one.found(
            "left", reason="it is pinned by its digest alone: name the tag to follow in `tag` of the policy"
        )
    ref = ImageRef(image.pulled, tag)
    facts = _looked(servers, one.policy, ref)
    if facts is None:
        raise RegistryError(f"There is no image {ref}.", hint="Push it first, or correct the tag.")
    if (tag, facts.digest) == (image.tag, image.digest):
        return one.found("current", newest=tag, digest=facts.digest)
    ranking = Ranking((tag,))
    return _found(one, choose(one.policy, ranking, lambda _: facts, _bars(one, image), now, 1))


def _bars(one: Followed, image: ImageInUse) -> Callable[[str, Facts], str | None]:
    """What is held as one artifact is passed over; other holds are told by what writes."""

    def bars(tag: str, facts: Facts) -> str | None:
        names = (str(ImageRef(image.name, tag, facts.digest)), str(ImageRef(image.pulled, tag, facts.digest)))
        artifacts = (hold for hold in one.scope.holds if hold.image and (hold.image.tag or hold.image.digest))
        return next((str(hold) for hold in artifacts if hold.bars(one.scope.target.app, *names)), None)

    return bars


def _found(one: Followed, choice: Choice) -> Finding:
    if choice.version is None:
        return one.found("current", newest=one.current, reason=choice.note, left_out=choice.left_out)
    return one.found(
        "newer", newest=choice.version, digest=choice.facts.digest, reason=choice.note, left_out=choice.left_out
    )


# Charts


def _chart(servers: Servers, one: Followed, now: float) -> Finding:
    chart = one.used
    assert isinstance(chart, ChartInUse)
    assert chart.source
    policy, current = replace(one.policy, platforms=()), chart.version or ""
    if policy.kind == "digest":
        return one.found("left", reason="the kind digest is for images: take semver, newest or alphabetical")
    if Version.read(current) is None:
        return one.found("left", reason=f"{current!r} is a range or a branch, which is followed by what deploys it")
    _must_be_allowed(one, chart.source)
    if chart.source.oci:
        return _of_oci(servers, one, policy, chart.source, now)
    facts = servers.versions(chart.source)
    if policy.kind == "newest":
        ranking = rank_by_time(
            current, {name: each for name, each in facts.items() if policy.takes(name) or name == current}
        )
    else:
        ranking = rank(policy, current, facts)
    return _found(one, choose(policy, ranking, facts.get, lambda version, each: None, now, len(facts)))


def _must_be_allowed(one: Followed, source: ChartSource) -> None:
    host = urllib.parse.urlsplit(f"//{source.host}").hostname or ""
    environment = one.scope.environment
    if not allows(environment.allow.hosts, host):
        raise RefusedError(
            f"{host} is not asked for the chart {source.chart} of {one.scope.target}: it is not in allow.hosts.",
            hint=f"Add it to {environment.section}.allow.hosts.",
        )


def _of_oci(servers: Servers, one: Followed, policy: Policy, source: ChartSource, now: float) -> Finding:
    """Tags cannot hold a +, and Helm writes _ for it: https://helm.sh/docs/topics/registries/"""
    name = source.url.partition("/")[2]
    versions = {
        tag.replace("_", "+"): tag for tag in servers.tags(name) if Version.read(tag.replace("_", "+"))
    }  # fmt: skip

    def ref(version: str) -> ImageRef:
        return ImageRef(source.url, versions.get(version, version))

    def look(version: str) -> Facts | None:
        return servers.facts(ref(version), times=bool(policy.minimum_age))

    used = one.used
    current = str(one.current).replace("_", "+")
    choice = choose(policy, _ranked(servers, policy, current, versions, ref), look, lambda version, each: None, now,
                    _MOST_LOOKED_INTO)  # fmt: skip
    if choice.version and isinstance(used, ChartInUse) and used.tag:
        choice = replace(choice, version=versions[choice.version])
    return _found(one, choice)
