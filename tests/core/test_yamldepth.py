"""A file that is nested without end gets an error, where libyaml would end the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ci_gitops.core.manifests import parse
from ci_gitops.core.yamldepth import DEEPEST, must_be_shallow
from ci_gitops.errors import RenderError

OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: "
MANY = 100_000
HOSTILE = {
    "brackets": "[" * MANY + "]" * MANY,
    "braces": "{a: " * MANY,
    "brackets-line-by-line": "[\n " * MANY,
    "dashes": "\n" + "- " * MANY,
    "questions": "\n" + "? " * MANY,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_nested_without_end_is_told(name: str) -> None:
    with pytest.raises(RenderError, match=f"web.yaml is not YAML: line [0-9]+: nested more than {DEEPEST} levels deep"):
        parse(OBJECT + HOSTILE[name], "web.yaml")


def test_what_is_long_or_has_many_brackets_is_no_trouble() -> None:
    flat = "{" + ", ".join(f"k{number}: '[[[['" for number in range(2_000)) + "}"
    assert len(parse(OBJECT + flat, "web.yaml")) == 1


def test_what_passes_the_glance_does_not_end_the_process() -> None:
    """As deep as a file can be that is not looked at closely, in a thread with its own stack."""
    code = (
        "import threading, yaml\n"
        "text = '[' * 990 + '- ' * 490 + 'a' + ']' * 990\n"
        "thread = threading.Thread(target=lambda: list(yaml.compose_all(text[:990] + ']' * 990, yaml.CSafeLoader)))\n"
        "thread.start(); thread.join()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_no_yaml_is_left_to_the_loader() -> None:
    must_be_shallow("a: b: c")
