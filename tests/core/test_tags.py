"""The newest tag of a repository."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.tags import newest_tag


@pytest.mark.parametrize(
    ("names", "pattern", "newest"),
    [
        (["v1.9.0", "v1.10.0", "v1.2.0"], "v*", "v1.10.0"),
        (["v1.0.0", "v2.0.0-rc.1", "v1.5.0"], "v*", "v1.5.0"),
        (["v2.0.0-rc.2", "v2.0.0-rc.10", "v2.0.0-beta.11"], "v*-*", "v2.0.0-rc.10"),
        (["v2.0.0-rc.1", "v2.0.0"], "v2.*-*", "v2.0.0-rc.1"),
        (["1.2", "1.2.1", "1.10"], "*", "1.10"),
        (["release-9", "release-10", "other-11"], "release-*", "release-10"),
        (["2026-11-02", "2026-9-30", "2025-12-31"], "*", "2026-11-02"),
        (["v1.0.0+build.1", "v1.0.0"], "v*", "v1.0.0+build.1"),
        (["production/3", "production/20"], "production/*", "production/20"),
        (["v2.0-rc1", "v2.0"], "v*", "v2.0"),
        (["v2.0-rc2", "v2.0-rc10"], "v*", "v2.0-rc10"),
        (["1.0+build9", "1.0.1"], "*", "1.0.1"),
        (["release-a", "release-b"], "release-*", "release-b"),
        (["v1"], "w*", None),
        ([], "*", None),
    ],
)
def test_the_newest_tag(names: list[str], pattern: str, newest: str | None) -> None:
    assert newest_tag(names, pattern) == newest
    assert newest_tag(reversed(names), pattern) == newest


@given(st.lists(st.text(alphabet="v01.-+ar/", min_size=1, max_size=8)))
def test_any_names_have_an_order(names: list[str]) -> None:
    assert newest_tag(names, "*-*") == newest_tag(sorted(names), "*-*")


@given(st.lists(st.tuples(*[st.integers(0, 99)] * 3), min_size=1))
def test_versions_are_ordered_by_their_numbers(versions: list[tuple[int, int, int]]) -> None:
    names = ["v{}.{}.{}".format(*version) for version in versions]
    assert newest_tag(names, "v*") == "v{}.{}.{}".format(*max(versions))
