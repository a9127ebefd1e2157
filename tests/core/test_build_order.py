from __future__ import annotations

import pytest

from ci_gitops.core.build_order import Evidence, compare, find_evidence
from ci_gitops.core.trailers import ImageMove, Source, Trailers

MOVE = ImageMove("staging", "shop", "web", "web:1", "web:2")
EARLY, LATE = "2026-11-21T10:00:00+01:00", "2026-11-21T09:30:00+00:00"  # LATE is later, though it reads smaller


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (Source("g/p", "a", 7), Source("g/p", "b", 8), "older"),
        (Source("g/p", "a", 8), Source("g/p", "b", 8), "write"),
        (Source("g/p", "a", 9), Source("g/p", "b", 8), "write"),
        (Source("g/p", "a", 7, LATE), Source("g/p", "b", 8, EARLY), "older"),  # the pipeline decides before the time
        (Source("g/p", "a", None, EARLY), Source("g/p", "b", 8, LATE), "older"),
        (Source("g/p", "a", None, LATE), Source("g/p", "b", None, EARLY), "write"),
        (Source("g/p", "a", None, "yesterday"), Source("g/p", "b", None, EARLY), "write"),
        (Source("g/p", "a"), Source("g/p", "b", 8, LATE), "write"),
        (Source("g/q", "a", 7), Source("g/p", "b", 8), "other-project"),
        (None, Source("g/p", "b", 8), "write"),
        (Source("g/p", "a", 7), None, "write"),
    ],
)
def test_an_older_build_of_the_same_project_does_not_write(
    ours: Source | None, theirs: Source | None, verdict: str
) -> None:
    assert compare(ours, Evidence("c", MOVE, theirs)) == verdict


def test_without_evidence_the_build_writes() -> None:
    assert compare(Source("g/p", "a", 7), None) == "write"


def test_the_evidence_is_the_newest_commit_that_names_image_and_target() -> None:
    other_target = ImageMove("production", "shop", "web", None, "web:9")
    other_image = ImageMove("staging", "shop", "api", None, "api:9")
    history = [
        ("c4", Trailers((other_target, other_image), source=Source("g/p", "x", 9))),
        ("c3", Trailers()),
        ("c2", Trailers((MOVE,), source=Source("g/p", "y", 8))),
        ("c1", Trailers((MOVE,), source=Source("g/p", "z", 7))),
    ]
    assert find_evidence(history, "staging/shop", "web") == Evidence("c2", MOVE, Source("g/p", "y", 8))
    assert find_evidence(history, "staging/other", "web") is None
