"""Edits at random places of other people's files, also with other line ends: only what was meant may change."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci_gitops.core.edits.draft import Draft
from ci_gitops.core.yamltext import Mapping, Scalar, Sequence, parse, path_text, walk
from ci_gitops.errors import EditError

VALUES = [
    "v2",
    "1.10",
    "yes",
    "",
    "it's",
    'say "no"',
    "a: b # c",
    "ünï😀",
    "x,y}",
    "- a",
    "two\nlines",
    " edge ",
    "\\n",
]
SHAPES: list[Callable[[str], str]] = [
    lambda text: text,
    lambda text: text.replace("\r\n", "\n").replace("\n", "\r\n"),
    lambda text: "\ufeff" + text.removeprefix("\ufeff"),
    lambda text: text.rstrip("\r\n"),
]


def texts(corpus: Path) -> list[str]:
    found = []
    for path in sorted(corpus.rglob("*.y*ml")):
        text = path.read_bytes().decode()
        try:
            template = parse(text).template
        except EditError:
            continue
        if not template and len(text) < 60_000:
            found.append(text)
    return found


def load(text: str) -> list[Any]:
    return list(yaml.load_all(text, yaml.CBaseLoader))


def put(data: Any, path: tuple[Any, ...], value: str) -> None:
    for part in path[:-1]:
        data = data[part]
    data[path[-1]] = value


def set_somewhere(text: str, rng: random.Random) -> bool:
    """Set one value; whether that was possible."""
    draft = Draft(text)
    places = [
        (number, path)
        for number, root in enumerate(draft.documents)
        for path, node in walk(root)
        if isinstance(node, Scalar) and path
    ]
    if not places:
        return False
    document, path = rng.choice(places)
    value = rng.choice(VALUES)
    try:
        draft.set(document, path, value)
    except EditError:
        return False
    edit = draft.edit()
    expected = load(text)
    put(expected[document], path, value)
    assert load(edit.new) == expected, f"{path_text(path)} = {value!r}"
    for change in edit.changes:
        back = Draft(edit.new)
        back.set(document, path, change.old or "")
        restored = load(back.edit().new)
        assert restored == load(text) or change.old is None
    return True


def insert_somewhere(text: str, rng: random.Random) -> bool:
    """Add a key or an item and take it out again: every byte is as it was."""
    draft = Draft(text)
    places = [
        (number, path, node)
        for number, root in enumerate(draft.documents)
        for path, node in walk(root)
        if (isinstance(node, Mapping) and node.entries) or (isinstance(node, Sequence) and len(node.items) > 1)
    ]
    if not places:
        return False
    document, path, node = rng.choice(places)
    expected = load(text)
    at = expected[document]
    for part in path:
        at = at[part]
    try:
        if isinstance(node, Mapping):
            draft.insert_key(document, (*path, "ciKey"), "1.10", after=rng.choice([None, *node.keys()]))
            at["ciKey"] = "1.10"
        else:
            draft.append(document, path, [("name", "x"), ("newTag", "1.10")])
            at.append({"name": "x", "newTag": "1.10"})
    except EditError:
        return False
    assert load(draft.edit().new) == expected, path_text(path)
    if isinstance(node, Mapping):
        draft.remove_key(document, (*path, "ciKey"))
    else:
        draft.remove_item(document, path, len(node.items) - 1)
    assert draft.edit().new == text, path_text(path)
    return True


def run(corpus: Path, rng: random.Random, times: int) -> None:
    everything = texts(corpus)
    for action, least in ((set_somewhere, 0.6), (insert_somewhere, 0.8)):
        done = sum(action(rng.choice(SHAPES)(rng.choice(everything)), rng) for _ in range(times))
        assert done > times * least, f"{action.__name__}: only {done} of {times} were possible"


def test_a_sample_of_places(corpus: Path, rng: random.Random) -> None:
    run(corpus, rng, 150)


@pytest.mark.full
def test_thousands_of_places(corpus: Path, rng: random.Random) -> None:
    run(corpus, rng, 5000)
