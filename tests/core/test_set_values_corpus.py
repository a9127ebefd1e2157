"""`set` over other people's files: a value is set and set back, and every byte is as it was."""

from __future__ import annotations

import os
import random
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


def other(node: Scalar) -> str:
    """Another value of the same type."""
    if node.style == "" and node.value in BOOLEANS:
        return BOOLEANS[node.value]
    if node.style == "" and kind_of(node.value) == "int":
        return str(int(node.value, 0) + 1)
    return f"{node.value}5" if node.style == "" and kind_of(node.value) == "float" else f"{node.value}x"


def check(file: Path, rng: random.Random, most: int) -> int:
    text = file.read_bytes().decode()
    try:
        known = places(text, file.name)
    except EditError:
        return 0
    tried = 0
    for document, key, node in rng.sample(known, min(most, len(known))):
        value = other(node)
        try:
            edit = set_values(text, [(key, value)], path=file.name, document=str(document))
        except EditError:
            continue  # a template, an alias, a block of text: what is refused is tested elsewhere
        assert len(edit.changes) == 1
        assert len(edit.diff(context=0)) in (5, 6, 7), (file, key)  # headers, and one line twice
        again = set_values(edit.new, [(key, node.value)], path=file.name, document=str(document))
        if node.style or edit.new.count('"') == text.count('"'):  # else quotes were needed on the way, and stay
            assert again.new == text or again.notes, (file, key, value)  # 2.0 is lossy as a number: it is said
        tried += 1
    return tried


def test_a_sample_of_the_corpus(corpus: Path, rng: random.Random) -> None:
    files = sorted(corpus.rglob("*.y*ml"))
    sample = rng.sample(files, min(120, len(files)))
    assert sum(check(file, rng, 4) for file in sample) > 100


@pytest.mark.full
def test_the_whole_corpus(corpus: Path, rng: random.Random) -> None:
    assert os.environ.get("CI_GITOPS_TEST_FULL")
    assert sum(check(file, rng, 25) for file in sorted(corpus.rglob("*.y*ml"))) > 5000
