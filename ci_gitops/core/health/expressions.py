"""The language of health rules: comparisons of an object's fields, read by a grammar of our own and never run as code.

    status.phase == "Ready" and status.readyReplicas >= spec.replicas
    status.conditions[Ready].status == "False" and not status.conditions[Ready].reason in ["Pending", "Waiting"]
    status.parents[*].conditions[Accepted].status == "False"

A path's `[Ready]` is the list's item of that `type` or `name` (a condition of an older generation is none), `[0]` the
first item, `[-1]` the last, `[*]` every one, `["a.b/c"]` a key with other characters. A comparison holds when it does
for one of the values that its paths lead to. What is not there is null; numbers compare with numbers, text with text.
There are no calls, loops or arithmetic, so an expression ends in a time that its length and the object's size bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from ci_gitops.core.health.fields import is_stale, number

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"\\]*"|'[^'\\]*')|(?P<number>-?[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"""
    r"""|(?P<sign>==|!=|<=|>=|&&|\|\||[<>()\[\],.*!]))"""
)
_SIGNS = {"&&": "and", "||": "or", "!": "not"}
_LITERALS = {"true": True, "false": False, "null": None}
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in")
_LONGEST, _DEEPEST, _MOST = 2000, 20, 1000

Value = Any  # what JSON can hold
Step = str | int


@dataclass(frozen=True, slots=True)
class Answer:
    """Does an expression hold, and the mapping whose field made it so."""

    holds: bool
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Path:
    steps: tuple[tuple[str, Step], ...]  # ("key", name), ("item", index), ("named", type) or ("every", "")

    def answer(self, found: Mapping[str, Any]) -> Answer:
        return next((Answer(True, parent) for value, parent in self.select(found) if value), Answer(False))

    def select(self, found: Mapping[str, Any]) -> list[tuple[Value, Mapping[str, Any] | None]]:
        generation = number(found, "metadata", "generation")
        reached: list[tuple[Value, Mapping[str, Any] | None]] = [(found, None)]
        for kind, step in self.steps:
            reached = [
                next_one for value, parent in reached for next_one in _follow(value, parent, kind, step, generation)
            ][:_MOST]
        return reached


def _follow(
    value: Value, parent: Mapping[str, Any] | None, kind: str, step: Step, generation: int
) -> Iterator[tuple[Value, Mapping[str, Any] | None]]:
    items = value if isinstance(value, list | tuple) else ()
    if kind == "every":
        for item in items:
            yield item, item if isinstance(item, Mapping) else parent
    elif kind == "named":
        for item in items:
            if _is_named(item, step) and not is_stale(item, generation):
                yield item, item
                return
        yield None, parent
    elif kind == "item" and isinstance(step, int):
        yield (items[step] if -len(items) <= step < len(items) else None), parent
    else:
        yield (value.get(step), value) if isinstance(value, Mapping) else (None, parent)


def _is_named(item: Value, name: Step) -> bool:
    return isinstance(item, Mapping) and name in (item.get("type"), item.get("name"))


@dataclass(frozen=True, slots=True)
class Literal:
    value: Value

    def answer(self, found: Mapping[str, Any]) -> Answer:
        return Answer(bool(self.value))

    def select(self, found: Mapping[str, Any]) -> list[tuple[Value, Mapping[str, Any] | None]]:
        return [(self.value, None)]


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Path | Literal
    sign: str
    right: Path | Literal

    def answer(self, found: Mapping[str, Any]) -> Answer:
        both_read = isinstance(self.left, Path) and isinstance(self.right, Path)
        others = self.right.select(found)[:_MOST]
        if both_read:
            others = [(value, parent) for value, parent in others if value is not None]
        for value, parent in self.left.select(found):
            if not (both_read and value is None) and any(_compare(value, self.sign, other) for other, _ in others):
                return Answer(True, parent)
        return Answer(False)


def _compare(left: Value, sign: str, right: Value) -> bool:
    left, right = _plain(left), _plain(right)
    if sign == "in":
        return isinstance(right, list | tuple) and any(_equal(left, each) for each in right)
    if sign in ("==", "!="):
        return _equal(left, right) is (sign == "==")
    if not (_is_number(left) and _is_number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        return False
    outcome: bool = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[sign]
    return outcome


def _plain(value: Value) -> Value:
    return value.isoformat() if isinstance(value, date) else value


def _equal(left: Value, right: Value) -> bool:
    if isinstance(left, Mapping | list | tuple) or isinstance(right, Mapping | list | tuple):
        return False  # only scalars are compared, so that no depth of an object matters
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Every:
    parts: tuple[Expression, ...]

    def answer(self, found: Mapping[str, Any]) -> Answer:
        answers = [part.answer(found) for part in self.parts]
        if not all(answer.holds for answer in answers):
            return Answer(False)
        evidence = (answer.evidence for answer in answers if answer.evidence is not None)
        # A condition has words for what it says; other mappings seldom do.
        return Answer(True, min(evidence, key=lambda each: "type" not in each, default=None))


@dataclass(frozen=True, slots=True)
class Some:
    parts: tuple[Expression, ...]

    def answer(self, found: Mapping[str, Any]) -> Answer:
        return next((answer for answer in (part.answer(found) for part in self.parts) if answer.holds), Answer(False))


@dataclass(frozen=True, slots=True)
class Not:
    part: Expression

    def answer(self, found: Mapping[str, Any]) -> Answer:
        return Answer(not self.part.answer(found).holds)


Expression = Path | Literal | Comparison | Every | Some | Not


@lru_cache(maxsize=512)
def parse_expression(text: str) -> Expression:
    """The expression that `text` writes; ValueError says what was expected and where."""
    if len(text) > _LONGEST:
        raise ValueError(f"an expression has at most {_LONGEST} characters, and this one has {len(text)}")
    reader = _Reader(text)
    expression = reader.some(0)
    reader.expect_end("and, or, a comparison or the end")
    return expression


@lru_cache(maxsize=512)
def parse_path(text: str) -> Path:
    """The path that `text` writes, such as `status.conditions[Ready].message`; else ValueError."""
    reader = _Reader(text)
    path = reader.path()
    reader.expect_end("the path's end")
    return path


class _Reader:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0

    def some(self, depth: int) -> Expression:
        parts = [self._every(depth)]
        while self._take("or"):
            parts.append(self._every(depth))
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def expect_end(self, expected: str) -> None:
        if self._kind() != "end":
            raise self._wrong(expected)

    def path(self) -> Path:
        self._take(".")
        if self._kind() != "name":
            raise self._wrong("a field, such as status.phase")
        steps: list[tuple[str, Step]] = [("key", self._advance())]
        while True:
            if self._take("."):
                if self._kind() not in ("name", "word"):
                    raise self._wrong("a field's name")
                steps.append(("key", self._advance()))
            elif self._take("["):
                steps.append(self._index())
            else:
                return Path(tuple(steps))

    def _every(self, depth: int) -> Expression:
        parts = [self._not(depth)]
        while self._take("and"):
            parts.append(self._not(depth))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _not(self, depth: int) -> Expression:
        if depth > _DEEPEST:
            raise ValueError(f"parentheses and nots go at most {_DEEPEST} deep")
        if self._take("not"):
            return Not(self._not(depth + 1))
        if self._take("("):
            inner = self.some(depth + 1)
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Expression:
        left = self._operand()
        sign = self._token()[1]
        if self._kind() not in ("sign", "word") or sign not in _COMPARISONS:
            return left
        self._advance()
        return Comparison(left, sign, self._operand())

    def _operand(self) -> Path | Literal:
        kind, written, _ = self._token()
        if kind == "text":
            return Literal(self._advance()[1:-1])
        if kind == "number":
            self._advance()
            return Literal(float(written) if "." in written else int(written))
        if kind == "word" and written in _LITERALS:
            self._advance()
            return Literal(_LITERALS[written])
        if self._take("["):
            return Literal(tuple(self._list()))
        return self.path()

    def _list(self) -> Iterator[Value]:
        while not self._take("]"):
            item = self._operand()
            if not isinstance(item, Literal):
                raise self._wrong("only text, numbers, true, false and null in a list")
            yield item.value
            if not self._take(","):
                self._expect("]")
                return

    def _index(self) -> tuple[str, Step]:
        kind, written, _ = self._token()
        step: tuple[str, Step]
        if kind == "number" and written.removeprefix("-").isdecimal():
            step = ("item", int(written))
        elif kind == "text":
            step = ("key", written[1:-1])
        elif kind in ("name", "word"):
            step = ("named", written)
        elif written == "*":
            step = ("every", "")
        else:
            raise self._wrong("a number, a type such as Ready, a quoted key or *")
        self._advance()
        self._expect("]")
        return step

    def _token(self) -> tuple[str, str, int]:
        return self._tokens[self._next]

    def _kind(self) -> str:
        return self._token()[0]

    def _advance(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1][1]

    def _take(self, written: str) -> bool:
        if self._kind() in ("sign", "word") and self._token()[1] == written:
            self._next += 1
            return True
        return False

    def _expect(self, written: str) -> None:
        if not self._take(written):
            raise self._wrong(repr(written))

    def _wrong(self, expected: str) -> ValueError:
        _, written, place = self._token()
        return ValueError(f"expected {expected} at character {place + 1}, not {written or 'the end'!r}: {self._text}")


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    place = 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise ValueError(f"cannot read {text[place:].strip()[:20]!r} at character {place + 1}: {text}")
        written, kind = match[match.lastgroup], match.lastgroup
        written = _SIGNS.get(written, written)
        if written in ("and", "or", "not", "in", *_LITERALS) and kind in ("name", "sign"):
            kind = "word"
        yield kind, written, match.start(match.lastgroup)
        place = match.end()
    yield "end", "", len(text)
