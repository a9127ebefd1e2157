"""The newest of version tags."""

from __future__ import annotations

import pytest

from ci_gitops.core.tags import newest


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([], None),
        (["v1.9", "v1.10", "v1.2"], "v1.10"),
        (["v2.0-rc1", "v2.0"], "v2.0"),
        (["v2.0-rc1", "v1.9"], "v2.0-rc1"),
        (["v2.0-rc2", "v2.0-rc10"], "v2.0-rc10"),
        (["1.0+build9", "1.0.1"], "1.0.1"),
        (["release-a", "release-b"], "release-b"),
    ],
)
def test_tags_are_ordered_as_people_count(tags: list[str], expected: str | None) -> None:
    assert newest(tags) == expected
    assert newest(reversed(tags)) == expected
