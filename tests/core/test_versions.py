"""Versions and ranges: by examples, and held against npm's own implementation."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.versions import Range, Version
from tests.conftest import SEED
from tests.rig.parts import missing, program


def version(text: str) -> Version:
    found = Version.read(text)
    assert found, text
    return found


@pytest.mark.parametrize(
    "text", ["1.2.3", "v1.2.3", "V1", "1.27", "2026.01.05", "1.2.3-rc.1+b5", "0.0.0-0", "1.27-alpine3.20"]
)
def test_what_tags_are_written_like_is_a_version(text: str) -> None:
    assert version(text).text == text


@pytest.mark.parametrize(
    "text", ["", "latest", "1.2.3.4", "1.2.3-", "1.2.3-a..b", "1.x", "vv1", "1.2.3 ", "4f1a2b", "٣.1.2"]
)
def test_what_is_no_version(text: str) -> None:
    assert Version.read(text) is None


def test_order() -> None:
    """https://semver.org/#spec-item-11"""
    ascending = [
        "0.9.9", "1.0.0-0", "1.0.0-1", "1.0.0-9", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
        "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.0.10", "1.9.0", "1.10.0",
    ]  # fmt: skip
    keys = [version(text).key for text in ascending]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    assert version("v1.2").key == version("1.2.0+build7").key


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=1.2 <2", "1.2.0 1.2 v1.99.0 1.2.0+b1", "1.1.9 2.0.0 2.0.0-rc.1 1.3.0-rc.1"),
        (">=1.2, <2", "1.2.0 1.9.9", "2.0.0"),
        ("^1.2", "1.2.0 1.99.0", "1.1.0 2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"),
        ("~1.2", "1.2.0 1.2.9", "1.3.0"),
        ("1.x", "1.0.0 1.9.0", "2.0.0 0.9.0"),
        ("1.x || >=3", "1.5.0 3.0.0 4.1.0", "2.0.0"),
        ("1.2 - 1.4", "1.2.0 1.4.9", "1.5.0"),
        ("*", "0.0.1 9.9.9", "1.0.0-rc.1"),
        ("", "0.0.1", "1.0.0-rc.1"),
        (">=1.2.0-0", "1.2.0-rc.1 1.3.0-rc.1 1.3.0", "1.1.0"),
        (">=1.2.0-0 <2", "1.9.0-rc.1", "2.0.0-rc.1 2.0.0"),
        ("1.2.3-rc.1", "1.2.3-rc.1", "1.2.3 1.2.3-rc.2"),
        ("=1.2.3", "1.2.3 v1.2.3+b1", "1.2.4"),
        (">1.2", "1.3.0", "1.2.9"),
        ("<=1", "1.9.9", "2.0.0"),
        ("2024.x", "2024.01.15", "2025.01.01"),
    ],
)
def test_ranges(text: str, inside: str, outside: str) -> None:
    allowed = Range.parse(text)
    assert [each for each in inside.split() if not allowed.holds(version(each))] == []
    assert [each for each in outside.split() if allowed.holds(version(each))] == []


@pytest.mark.parametrize("text", ["one", ">>1", "1.2.3.4", "^^1", "1 -", "!=1.2", ">=1.2 <", "1" * 600, "{{x}}"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        Range.parse(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    Version.read(text)
    try:
        Range.parse(text)
    except ValueError as error:
        assert "range" in str(error)  # noqa: PT017


def _number(dice: random.Random, *, whole: bool) -> str:
    numbers = [dice.choice("0123") for _ in range(3 if whole else dice.randint(1, 3))]
    if not whole and dice.random() < 0.3:
        numbers[-1] = dice.choice("xX*")
    return ".".join(numbers)


def _range(dice: random.Random) -> str:
    def comparator() -> str:
        return dice.choice(["", ">=", "<=", ">", "<", "=", "^", "~", "~>", ">= ", "^ "]) + _number(dice, whole=False)

    def group() -> str:
        if dice.random() < 0.2:
            return f"{_number(dice, whole=False)} - {_number(dice, whole=False)}"
        return " ".join(comparator() for _ in range(dice.randint(1, 3)))

    return " || ".join(group() for _ in range(dice.randint(1, 2)))


def _cases(dice: random.Random) -> list[tuple[str, str, bool]]:
    """Range, version, and whether npm is to count prereleases, which we do where the range names one."""
    cases = []
    for number in range(3000):
        suffix = dice.choice(["", "", "-rc.1", "-0", "-alpha", "+b5"])
        made = _number(dice, whole=True) + suffix
        if number % 2:
            cases.append((_range(dice), made, False))
        else:
            operator = dice.choice(["", ">=", "<=", ">", "<", "=", "^", "~"])
            asked = f"{operator}{_number(dice, whole=True)}-{dice.choice(['0', 'rc.1', 'alpha.2'])}"
            cases.append((asked, made, True))
    return cases


_SCRIPT = """
const npm = require(process.argv[1]);
const cases = JSON.parse(require('fs').readFileSync(0));
console.log(JSON.stringify(cases.map(([r, v, p]) => npm.satisfies(v, r, {includePrerelease: p}))));
"""


def test_as_npm_reads_them() -> None:
    node = program("node", "install Debian's nodejs")
    npm = Path(program("npm", "install Debian's npm")).resolve()
    library = npm.parents[1] / "node_modules/semver"
    if not library.is_dir():
        missing("npm's semver", "it comes with npm, in its node_modules")
    cases = _cases(random.Random(SEED))
    done = subprocess.run([node, "-e", _SCRIPT, library], input=json.dumps(cases), capture_output=True, text=True,
                          check=True, timeout=60)  # fmt: skip
    wrong = [
        (asked, made, theirs)
        for (asked, made, _), theirs in zip(cases, json.loads(done.stdout), strict=True)
        if Range.parse(asked).holds(version(made)) != theirs
    ]
    assert wrong == []
