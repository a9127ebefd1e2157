"""`set` over other people's files: a value is set and set back, and every byte is as it was."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest

from ci_gitops.core.edits.scalars import set_values
from ci_gitops.core.yamlscalar import kind_of
from ci_gitops.core.yamltext import Scalar, is_null, parse, path_text, walk
from ci_gitops.errors import EditError

BOOLEANS = {"true": "false", "false": "true"}


def places(text: str, name: str) -> list[tuple[int, str, Scalar]]:
    """Each scalar that can be set and written again as it was: document, key and node."""
    yaml_text = parse(text, name)
    return [
        (number + 1, path_text(path), node)
        for number, root in enumerate(yaml_text.documents)
        for path, node in walk(root)
        if isinstance(node, Scalar) and path and "\n" not in text[node.start : node.end] and not is_null(node)
    ]


def other(node: Scalar) -> str | None:
    """Another value of the same type; None for what is none of text, whole number and boolean."""
    kind = "str" if node.style else kind_of(node.value)
    if kind == "str":
        return f"{node.value}x"
    if re.fullmatch("0|[1-9][0-9]*", node.value):
        return str(int(node.value) + 1)
    return BOOLEANS.get(node.value)


def check(file: Path, rng: random.Random, most: int) -> int:
    text = file.read_bytes().decode()
    try:
        known = places(text, file.name)
    except EditError:
        return 0
    tried = 0
    for document, key, node in rng.sample(known, min(most, len(known))):
        value = other(node)
        if value is None:
            continue
        try:
            edit = set_values(text, [(key, value)], path=file.name, document=str(document))
        except EditError:
            continue  # a template, an alias, a block of text: what is refused is tested elsewhere
        assert len(edit.changes) == 1
        assert len(edit.diff(context=0)) in (5, 6, 7), (file, key)  # headers, and one line twice
        again = set_values(edit.new, [(key, node.value)], path=file.name, document=str(document))
        assert again.new == text, (file, key, value)
        tried += 1
    return tried


def test_a_sample_of_the_corpus(corpus: Path, rng: random.Random) -> None:
    files = sorted(corpus.rglob("*.y*ml"))
    sample = rng.sample(files, min(120, len(files)))
    assert sum(check(file, rng, 4) for file in sample) > 100


@pytest.mark.full
def test_the_whole_corpus(corpus: Path, rng: random.Random) -> None:
    assert os.environ.get("CI_GITOPS_TEST_FULL")
    assert sum(check(file, rng, 12) for file in sorted(corpus.rglob("*.y*ml"))) > 5000
