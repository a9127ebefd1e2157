"""Two renderings of the same, compared."""

from __future__ import annotations

import pytest

from ci_gitops.core.manifests import parse
from ci_gitops.core.unstable import may_change, unstable_fields

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {x/y: one}}\ndata: {list: [1, 2]}\n"


@pytest.mark.parametrize(
    ("old", "new", "fields"),
    [
        ("one", "one", []),
        ("one", "two", ["ConfigMap a: /metadata/annotations/x~1y"]),
        ("[1, 2]", "[1, 3]", ["ConfigMap a: /data/list/1"]),
        ("[1, 2]", "[1]", ["ConfigMap a: /data/list"]),
        (", annotations: {x/y: one}", "", ["ConfigMap a: /metadata/annotations"]),
        ("name: a", "name: b", ["ConfigMap a: /metadata/name"]),
    ],
)
def test_where_they_differ(old: str, new: str, fields: list[str]) -> None:
    found = unstable_fields(parse(MAP, "one"), parse(MAP.replace(old, new), "other"))
    assert [str(each) for each in found] == fields


@pytest.mark.parametrize(
    ("template", "changes"),
    [
        ("{{ randAlphaNum 8 }}", True),
        ("{{- $ca := genCA \"x\" 365 }}", True),
        ("{{ now | date \"2006\" }}", True),
        ("{{ .Values.nowhere }} randomly known", False),
    ],
)  # fmt: skip
def test_which_templates_may_change(template: str, changes: bool) -> None:
    assert may_change(template.encode()) is changes
