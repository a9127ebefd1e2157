"""Jsonnet, evaluated by the real program."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops.adapters.renderers import render
from ci_gitops.errors import RenderError
from tests.rig.renderers import renderer_path, write

SETTINGS = "{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: name }, data: { mode: 'calm' } }"


@pytest.fixture
def path() -> str:
    return renderer_path("jsonnet")


def test_objects_lists_and_maps_of_objects(tmp_path: Path, path: str) -> None:
    write(tmp_path, {
        "lib/settings.libsonnet": f"function(name) {SETTINGS}",
        "staging/a.jsonnet": "(import 'settings.libsonnet')('one')",
        "staging/b.jsonnet": "local s = import 'settings.libsonnet'; [s('two'), { more: s('three') }]",
        "staging/c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: four}\n",
        "staging/values.json": "{}",
    })  # fmt: skip
    assert [each.name for each in render(tmp_path, "staging", {"PATH": path})] == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("importstr '/etc/passwd'", "jsonnet cannot render"),
        ("importstr '../../outside'", "jsonnet cannot render"),
        ("local f(x) = f(x + x) + x; f('xxxx')", "max stack frames|memory"),
        ("std.length(std.makeArray(100000000, function(i) i + 'xxxxxxxx'))", "memory"),
        ("error 'no such mode'", "no such mode"),
    ],
)
def test_programs_that_want_out(tmp_path: Path, path: str, code: str, message: str) -> None:
    write(tmp_path, {"outside": "secret", "tree/staging/a.jsonnet": code})
    with pytest.raises(RenderError, match=message) as caught:
        render(tmp_path / "tree", "staging", {"PATH": path})
    assert str(tmp_path) not in caught.value.message
    assert "secret" not in caught.value.message
