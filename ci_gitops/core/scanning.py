"""Which newer version of an image or chart its policy takes, and why the others are not taken.

Two steps: `rank` puts in order what may be newer, by names alone; `misfit` says what is wrong with one of them once its
age and platforms are known. So only the best few have to be looked into.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal

from ci_gitops.core.durations import format_duration
from ci_gitops.core.text import counted
from ci_gitops.core.versions import Range, Version

Kind = Literal["semver", "newest", "alphabetical", "digest"]
MOST_LEFT_OUT = 10
#: Nobody made an image before (https://www.docker.com/company/ begins in 2013): builders that want the same digest each
#: time write 1970 or 1980 instead of a time.
_FIRST_IMAGE = datetime(2013, 1, 1, tzinfo=UTC).timestamp()


_WORD = re.compile(r"[A-Za-z]+")
_PRERELEASES = frozenset((
    "a", "alpha", "b", "beta", "c", "canary", "cr", "dev", "ea", "edge", "m", "milestone", "next", "nightly", "pr",
    "pre", "preview", "rc", "snapshot", "test", "unstable",
))  # fmt: skip
#: Signatures and attestations lie beside their image as tags of its digest:
#: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
_ATTACHED = re.compile(r"sha(256|512)-[0-9a-f]{64,128}(\.[a-z]+)?")


def versions_among(tags: Iterable[str]) -> list[str]:
    """The tags that somebody gave an image, without those of what is attached to images."""
    return [tag for tag in tags if not _ATTACHED.fullmatch(tag)]


@dataclass(frozen=True, slots=True)
class Policy:
    """What is taken. `range` is for semver, `tag` for digest."""

    kind: Kind = "semver"
    range: Range | None = None
    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    minimum_age: float = 0.0  # seconds
    platforms: tuple[str, ...] = ()
    tag: str | None = None

    def allows(self, tag: str) -> bool:
        return not self.allow or any(fnmatchcase(tag, pattern) for pattern in self.allow)

    def ignored_by(self, tag: str) -> str | None:
        return next((pattern for pattern in self.ignore if fnmatchcase(tag, pattern)), None)

    def takes(self, tag: str) -> bool:
        return self.allows(tag) and not self.ignored_by(tag)

    def __str__(self) -> str:
        said = f" {self.range.text}" if self.range else f" of {self.tag}" if self.tag and self.kind == "digest" else ""
        return f"{self.kind}{said}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What an image or chart says of itself. `created` is in seconds since the epoch; None: it says nothing."""

    digest: str | None = None
    created: float | None = None
    platforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A version that would be newer, and why it is not taken."""

    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """What may be newer, the best first, what was left out above them, and what there is to say of it all."""

    candidates: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    note: str = ""  # why there is no candidate, or what was not compared


def seconds_of(text: object) -> float | None:
    """The time that a label or a configuration gives (RFC 3339); None where it is none that a build can have."""
    if not isinstance(text, str) or not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return seconds if seconds >= _FIRST_IMAGE else None


def variant_of(tag: str) -> str | None:
    """What a tag says beside its version that is no prerelease: `alpine3.20` of `1.27-alpine3.20`."""
    version = Version.read(tag)
    word = _WORD.match(version.prerelease[0]) if version and version.prerelease else None
    if word is None or word[0].lower() in _PRERELEASES:
        return None
    return ".".join(version.prerelease) if version else None


def rank(policy: Policy, current: str | None, tags: Iterable[str]) -> Ranking:
    """By names alone: for semver and alphabetical. What is not newer than `current` is no candidate."""
    known = list(dict.fromkeys(tags))
    if policy.kind == "alphabetical":
        return _alphabetical(policy, current, known)
    return _by_version(policy, current, known)


def _by_version(policy: Policy, current: str | None, tags: Sequence[str]) -> Ranking:
    now = Version.read(current) if current else None
    form = now.written if now else 3
    versions = [version for tag in tags if policy.allows(tag) and (version := Version.read(tag))]
    same_form = [version for version in versions if version.written == form]
    newer = [version for version in same_form if now is None or version.key > now.key]
    newer.sort(key=lambda version: (version.key, _alike(version.text, current), version.text), reverse=True)
    candidates: list[str] = []
    left: list[LeftOut] = []
    for version in newer:
        reason = _why_not(policy, version)
        if reason is None:
            candidates.append(version.text)
        elif not candidates:
            left.append(LeftOut(version.text, reason))
    return Ranking(tuple(candidates), tuple(left[:MOST_LEFT_OUT]), _said_of_versions(policy, current, now, same_form))


def _alike(text: str, current: str | None) -> bool:
    """Of two spellings of a version, the one with or without `v` as it is now."""
    return current is not None and text[:1].isdigit() == current[:1].isdigit()


def _why_not(policy: Policy, version: Version) -> str | None:
    if pattern := policy.ignored_by(version.text):
        return f"ignored by {pattern!r}"
    allowed = policy.range
    if version.prerelease and not (allowed and allowed.prereleases):
        return "a prerelease, and the range names none"
    if allowed and not allowed.holds(version):
        return f"outside of {allowed.text!r}"
    return None


def _said_of_versions(policy: Policy, current: str | None, now: Version | None, found: Sequence[Version]) -> str:
    if not found:
        form = {1: "a number", 2: "two numbers, as 1.27"}.get(now.written if now else 3, "three numbers, as 1.2.3")
        return f"no tag is a version of {form}"
    if now is None and current:
        return f"{current} is no version, so nothing was compared with it"
    if now and policy.range and not policy.range.holds(now):
        return f"{current} itself is outside of {policy.range.text!r}"
    return ""


def _alphabetical(policy: Policy, current: str | None, tags: Sequence[str]) -> Ranking:
    comparable = current is not None and policy.allows(current)
    newer = [tag for tag in tags if policy.allows(tag) and not (comparable and current and tag <= current)]
    newer = [tag for tag in newer if tag != current]
    candidates: list[str] = []
    left: list[LeftOut] = []
    for tag in sorted(newer, reverse=True):
        pattern = policy.ignored_by(tag)
        if pattern is None:
            candidates.append(tag)
        elif not candidates:
            left.append(LeftOut(tag, f"ignored by {pattern!r}"))
    note = (
        "" if comparable or not current else f"{current} is none of the tags that `allow` names; nothing was compared"
    )
    if not any(policy.allows(tag) for tag in tags):
        note = "no tag fits `allow`" if policy.allow else "there is no tag"
    return Ranking(tuple(candidates), tuple(left[:MOST_LEFT_OUT]), note)


def to_be_dated(policy: Policy, current: str | None, tags: Iterable[str], most: int) -> tuple[tuple[str, ...], str]:
    """For newest: the tags whose times must be known, and what is to be said where they are too many.

    Of too many those are left out that come first by their versions or numbers: later ones are more likely newer.
    """
    fitting = [tag for tag in dict.fromkeys(tags) if policy.takes(tag) and tag != current]
    if len(fitting) <= most:
        return tuple(fitting), ""
    fitting.sort(key=_likely, reverse=True)
    note = (
        f"{counted(len(fitting), 'tag')} fit, and {most} of them were looked into: the last ones by name; "
        "narrow `allow`, or take the kind semver or alphabetical"
    )
    return tuple(fitting[:most]), note


def _likely(tag: str) -> tuple[bool, tuple[int, ...], str]:
    """By the numbers in a tag, so that `main-1010` comes after `main-999`."""
    numbers: list[int] = []
    digits = ""
    for character in f"{tag} ":
        if character.isascii() and character.isdigit():
            digits += character
        elif digits:
            numbers.append(int(digits[:18]))
            digits = ""
    return bool(numbers), tuple(numbers), tag


def rank_by_time(current: str | None, facts: Mapping[str, Facts]) -> Ranking:
    """For newest: those made later than the current one, the newest first. `facts` holds the current one's too."""
    now = facts.get(current, Facts()) if current else Facts()
    dated = [(each.created, tag) for tag, each in facts.items() if each.created is not None and tag != current]
    same = {tag for tag, each in facts.items() if now.digest and each.digest == now.digest}
    newer = [(made, tag) for made, tag in dated if tag not in same and (now.created is None or made > now.created)]
    undated = [tag for tag, each in facts.items() if each.created is None and tag != current]
    left = tuple(LeftOut(tag, "nothing says when it was made") for tag in sorted(undated)[:MOST_LEFT_OUT])
    note = ""
    if current and now.created is None and newer:
        note = f"nothing says when {current} was made, so nothing was compared with it"
    return Ranking(tuple(tag for _, tag in sorted(newer, reverse=True)), left, note)


def misfit(policy: Policy, facts: Facts, now: float) -> str | None:
    """Why a version is not taken although its name fits; None where it is."""
    for wanted in policy.platforms:
        if not any(each == wanted or each.startswith(f"{wanted}/") for each in facts.platforms):
            return f"not for {wanted} (it is for {', '.join(facts.platforms) or 'no platform that it names'})"
    if not policy.minimum_age:
        return None
    wanted_age = format_duration(timedelta(seconds=policy.minimum_age))
    if facts.created is None:
        return f"nothing says when it was made, and it must be {wanted_age} old"
    age = now - facts.created
    if age < policy.minimum_age:
        return f"too young: {format_duration(timedelta(seconds=max(0.0, age)))} of {wanted_age}"
    return None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a walk down the candidates came to."""

    version: str | None = None
    facts: Facts = field(default_factory=Facts)
    left_out: tuple[LeftOut, ...] = ()
    note: str = ""


def choose(
    policy: Policy, ranking: Ranking, look: Callable[[str], Facts | None], bars: Callable[[str, Facts], str | None],
    now: float, most: int,
) -> Choice:  # fmt: skip
    """The first candidate that fits; `look` asks for its facts, `bars` says what else keeps it out."""
    left = list(ranking.left_out)
    for version in ranking.candidates[:most]:
        facts = look(version)
        reason = "it is gone" if facts is None else misfit(policy, facts, now) or bars(version, facts)
        if facts is not None and reason is None:
            return Choice(version, facts, tuple(left[:MOST_LEFT_OUT]), ranking.note)
        left.append(LeftOut(version, str(reason)))
    note = ranking.note
    if len(ranking.candidates) > most:
        note = f"the best {most} of {len(ranking.candidates)} were looked into, and none fits"
    return Choice(None, Facts(), tuple(left[:MOST_LEFT_OUT]), note)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one image or chart of one target.

    `outcome`: newer (to be written), current (nothing newer fits), left (it cannot be followed, the reason says why),
    failed; once it was written what became of that, or held.
    """

    environment: str
    app: str
    kind: Literal["image", "chart"]
    name: str
    policy: str
    outcome: str
    current: str | None = None  # tag or version
    current_digest: str | None = None
    newest: str | None = None  # the newest version that fits
    digest: str | None = None
    reason: str = ""
    left_out: tuple[LeftOut, ...] = ()

    @property
    def document(self) -> dict[str, object]:
        return {
            "environment": self.environment, "app": self.app, "kind": self.kind, "name": self.name,
            "policy": self.policy, "current": self.current, "currentDigest": self.current_digest,
            "newest": self.newest, "digest": self.digest,
            "outcome": self.outcome, "reason": self.reason or None,
            "leftOut": [{"version": each.version, "reason": each.reason} for each in self.left_out],
        }  # fmt: skip
