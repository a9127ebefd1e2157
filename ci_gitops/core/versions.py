"""Versions and ranges of versions, as npm, Helm and Flux write them: `>=1.2 <2`, `^1.2`, `~1.2.3`, `1.x`, `1.2 - 1.4`.

Versions are those of https://semver.org, read as kindly as tags are written: with a `v`, with fewer than three numbers,
with leading zeros. Ranges are npm's (https://github.com/npm/node-semver#ranges), where a comma counts as a space. Of
prereleases the rule is Helm's: a range (between two `||`) that names one, such as `>=1.2.0-0`, takes them, all others
do not. No library that is well kept has ranges, so this is our own, held against npm's by a test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"[0-9]{1,19}"
_SUFFIX = r"(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+(?P<build>[0-9A-Za-z.-]+))?"
_VERSION = re.compile(rf"[vV]?(?P<numbers>{_NUMBER}(?:\.{_NUMBER}){{0,2}}){_SUFFIX}")
_PART = rf"(?:{_NUMBER}|[xX*])"
_PARTIAL = rf"[vV=]?(?P<numbers>{_PART}(?:\.{_PART}){{0,2}}){_SUFFIX}"
_COMPARATOR = re.compile(rf"(?P<operator>>=|<=|>|<|={{0,2}}|\^|~>?)\s*{_PARTIAL}(?=\s|$)")
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")
_LONGEST = 500  # characters of a range

_Identifier = tuple[int, int, str]
_Key = tuple[tuple[int, int, int], bool, tuple[_Identifier, ...]]
_FIRST: tuple[_Identifier, ...] = ((0, 0, ""),)  # `-0`: before every other version with these numbers


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it was written, and what counts of it. Build metadata does not count."""

    text: str
    numbers: tuple[int, int, int]
    written: int  # how many numbers the text has: 2 for `1.27`
    prerelease: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Version | None:
        """None where `text` is no version."""
        found = _VERSION.fullmatch(text)
        if found is None:
            return None
        numbers = [int(number) for number in found["numbers"].split(".")]
        prerelease = tuple(found["pre"].split(".")) if found["pre"] else ()
        if not all(prerelease):
            return None
        major, minor, patch = [*numbers, 0, 0][:3]
        return cls(text, (major, minor, patch), len(numbers), prerelease)

    @property
    def key(self) -> _Key:
        """Versions are in the order of their keys: a prerelease before its release, numbers before words."""
        return self.numbers, not self.prerelease, tuple(map(_identifier, self.prerelease))


def _identifier(text: str) -> _Identifier:
    return (0, int(text), "") if text.isdigit() else (1, 0, text)


@dataclass(frozen=True, slots=True)
class _Bound:
    operator: str  # >=, >, <, <=
    key: _Key

    def holds(self, key: _Key) -> bool:
        match self.operator:
            case ">=":
                return key >= self.key
            case ">":
                return key > self.key
            case "<":
                return key < self.key
            case _:
                return key <= self.key


@dataclass(frozen=True, slots=True)
class _Group:
    """What stands between two `||`: every bound must hold."""

    bounds: tuple[_Bound, ...]
    prereleases: bool  # it names one

    def holds(self, version: Version) -> bool:
        if version.prerelease and not self.prereleases:
            return False
        return all(bound.holds(version.key) for bound in self.bounds)


@dataclass(frozen=True, slots=True)
class Range:
    """The versions that are allowed."""

    text: str
    groups: tuple[_Group, ...]

    @classmethod
    def parse(cls, text: str) -> Range:
        """ValueError says what is wrong with it."""
        if len(text) > _LONGEST:
            raise ValueError(f"a range has at most {_LONGEST} characters")
        return cls(text, tuple(_group(part.strip(), text) for part in text.split("||")))

    def holds(self, version: Version) -> bool:
        return any(group.holds(version) for group in self.groups)

    @property
    def prereleases(self) -> bool:
        return any(group.prereleases for group in self.groups)


@dataclass(frozen=True, slots=True)
class _Partial:
    """A version of a range, of which the last numbers may be missing."""

    numbers: tuple[int, ...]
    prerelease: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return len(self.numbers) == 3

    def low(self, *, first: bool) -> _Key:
        """The lowest version that it stands for; with `first` the prereleases of a partial one count."""
        major, minor, patch = [*self.numbers, 0, 0, 0][:3]
        if self.prerelease:
            return Version("", (major, minor, patch), 3, self.prerelease).key
        return _first((major, minor, patch)) if first and not self.whole else ((major, minor, patch), True, ())

    def above(self, position: int) -> _Key:
        """What is above all that have the same numbers up to `position`."""
        numbers = [*self.numbers[: position + 1]]
        numbers[-1] += 1
        major, minor, patch = [*numbers, 0, 0][:3]
        return _first((major, minor, patch))


def _first(numbers: tuple[int, int, int]) -> _Key:
    return numbers, False, _FIRST


def _group(text: str, whole: str) -> _Group:
    if hyphen := _HYPHEN.fullmatch(text):
        pairs = [(">=", _partial(hyphen[1], whole)), ("<=", _partial(hyphen[2], whole))]
    else:
        pairs, rest = [], text.replace(",", " ").strip()
        while rest:
            found = _COMPARATOR.match(rest)
            if found is None:
                raise ValueError(_expected(whole))
            pairs.append((found["operator"], _of(found)))
            rest = rest[found.end() :].lstrip()
    asked = any(partial.prerelease for _, partial in pairs)
    return _Group(tuple(bound for pair in pairs for bound in _bounds(*pair, first=asked)), asked)


def _partial(text: str, whole: str) -> _Partial:
    found = re.fullmatch(_PARTIAL, text)
    if found is None:
        raise ValueError(_expected(whole))
    return _of(found)


def _of(found: re.Match[str]) -> _Partial:
    numbers: list[int] = []
    for part in found["numbers"].split("."):
        if not part.isdigit():
            break  # what follows an x is an x
        numbers.append(int(part))
    prerelease = tuple(found["pre"].split(".")) if found["pre"] and numbers else ()
    return _Partial(tuple(numbers), prerelease)


def _expected(text: str) -> str:
    return f"expected a range of versions such as '>=1.2 <2', '^1.2', '~1.2.3' or '1.x || 2.x', not {text!r}"


def _bounds(operator: str, partial: _Partial, *, first: bool) -> tuple[_Bound, ...]:
    """The plain comparisons that a comparator stands for."""
    if not partial.numbers:  # *
        return (_Bound("<", _first((0, 0, 0))),) if operator in ("<", ">") else ()
    low, last = partial.low(first=first), len(partial.numbers) - 1
    exact = partial.whole or bool(partial.prerelease)
    match operator:
        case "^":
            nonzero = next((place for place, number in enumerate(partial.numbers) if number), last)
            return _Bound(">=", low), _Bound("<", partial.above(nonzero))
        case "~" | "~>":
            return _Bound(">=", low), _Bound("<", partial.above(min(last, 1)))
        case ">":
            return (_Bound(">", low) if exact else _Bound(">=", _next(partial, first=first)),)
        case ">=":
            return (_Bound(">=", low),)
        case "<":
            return (_Bound("<", low if exact else _first(low[0])),)
        case "<=":
            return (_Bound("<=", low) if exact else _Bound("<", partial.above(last)),)
        case _:  # =, or nothing
            return (_Bound(">=", low), _Bound("<=", low) if exact else _Bound("<", partial.above(last)))


def _next(partial: _Partial, *, first: bool) -> _Key:
    above = partial.above(len(partial.numbers) - 1)
    return above if first else (above[0], True, ())
