"""Texts of strangers at every door where one is read: an error for a person or an answer, soon, and never a trace."""

from __future__ import annotations

import contextlib
import json
import random
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from ci_gitops.core import dockerfile
from ci_gitops.core.chart_index import versions_in
from ci_gitops.core.durations import parse_duration
from ci_gitops.core.edits.charts import set_charts
from ci_gitops.core.edits.images import image_uses, set_images
from ci_gitops.core.edits.scalars import set_values
from ci_gitops.core.git_urls import parse_git_url
from ci_gitops.core.holds import parse_holds
from ci_gitops.core.hosts import origin
from ci_gitops.core.images import ImageArgument, ImageRef
from ci_gitops.core.inventory import parse_inventory
from ci_gitops.core.manifests import parse as parse_manifests
from ci_gitops.core.mergerequest_text import parse_block
from ci_gitops.core.plan_file import read_plan
from ci_gitops.core.previews import read_preview
from ci_gitops.core.promotion_text import Built, compare_address
from ci_gitops.core.records import parse_record
from ci_gitops.core.scanning import seconds_of
from ci_gitops.core.trailers import parse_trailers, split_trailers
from ci_gitops.core.versions import Range, Version
from ci_gitops.core.windows import parse_when
from ci_gitops.errors import CiGitopsError
from ci_gitops.settings import parse_config
from tests.conftest import SEED

_SECONDS = 2.0  # of this processor, for one text
_BOMB = "a: &a [x,x]\n" + "".join(
    f"{here}: &{here} [{','.join([f'*{before}'] * 8)}]\n" for before, here in zip("abcdefg", "bcdefgh", strict=True)
)
#: What readers stumble over, by themselves or in the middle of something that is right.
PIECES = (
    f"0x{'f' * 5000}", "9" * 5000, "!!binary x", "!!bool x", "!!int ''", "!!float ''", "!!timestamp x", "!!set {a}",
    "!!omap [a]", "!!pairs [a: b]", "!!python/object:os.system x", "!x y", "2026-13-45", "2026-01-01T99:99:99Z", ".inf",
    ".nan", "1:60:60", "1e999", "<<: *a", "<<: 5", "? [a]\n: b\n", "\\ud800", "\ud800", "\x00", "\x85", "\u2028",
    "\ufeff", "\r", "\t", "[", "{", "]", "}", "&a ", "*a", "%YAML 9.9\n---\n", "--- ", "...\n", "null", "-", ": ",
    "#", "'", '"', "|\n", "{}", "[]", "items: 5", "kind: AList\nitems: {a: b}", "&r [*r]", "a: &r {b: *r}",
    "&r {kind: List, items: [*r]}", "[[" * 60, "{a: " * 200, _BOMB, "\U0001f600",
)  # fmt: skip
_DIGEST = f"sha256:{'a' * 64}"
CONFIG = """\
version: 1
apps:
  shop: {path: 'shop/{environment}', after: [cart], ignore: [{kind: D, pointers: [/spec/x]}], sources: [https://x/y],
    policies: {a/b: {kind: semver, range: '>=1', minimumAge: 1h}}, helm: {values: [a.yaml], set: {a: 1}}}
  cart: {}
environments:
  staging: {write: push, verify: {cosign: {key: k.pub}}, destination: {context: c, namespace: n}}
  production:
    gates: {soak: 2h, approvals: {count: 2, groups: [g]}, http: ['https://s/x'],
      windows: [{allow: 'Mon-Fri 09:00-16:00', timezone: Europe/Berlin}, {deny: '0 0 23 12 *', duration: 10d}]}
    health: [{kind: K, healthy: "a.b == 'c'"}]
"""
MANIFESTS = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {a: b}}\nspec: {template: {spec: "
    f"{{containers: [{{name: w, image: 'r/x:1@{_DIGEST}'}}]}}}}}}\n---\napiVersion: v1\nkind: List\n"
    "items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]\n"
)
KUSTOMIZATION = (
    f"resources: [a]\nimages:\n- name: r/x\n  newTag: '1'\n  digest: {_DIGEST}\n"
    "helmCharts: [{name: c, version: '1'}]\n"
)
INDEX = "apiVersion: v1\nentries:\n  web:\n  - version: 1.2.3\n    created: '2026-01-01T00:00:00Z'\n  - version: 1.3\n"
MESSAGE = (
    "Update shop\n\nCi-Gitops-Image: staging/shop r/x r/x:1 -> r/x:2\nCi-Gitops-Value: staging/shop a.yaml:x 1 -> 2\n"
)
BLOCK = (
    f"<!-- ci-gitops:begin {json.dumps({'v': 1, 'trailers': [MESSAGE]})} -->\nx\n<!-- ci-gitops:end -->\n"
    '<!-- ci-gitops:begin {"packed":"eJyLjgUAARUAuQ=="} -->\nx\n<!-- ci-gitops:end -->\n'
)
RECORD = json.dumps({"version": 1, "target": {"app": "a", "environment": "e", "path": "p"}, "revision": "a" * 40})
DOCKERFILE = 'FROM a AS b\n# syntax=x\nLABEL a=b \\\n  c=d\nRUN <<EOF\necho\nEOF\nCMD ["x"]\n'

#: door -> what reads there, something that it takes, and what it may raise besides our own errors.
DOORS: dict[str, tuple[Callable[[str], Any], str, type[Exception]]] = {
    "configuration": (lambda text: parse_config(text, "f.yaml"), CONFIG, CiGitopsError),
    "plan": (read_plan, RECORD, ValueError),
    "record": (parse_record, RECORD, ValueError),
    "inventory": (
        lambda text: parse_inventory(text, "n"), '{"version":1,"members":[{"kind":"A","name":"x"}]}', ValueError
    ),
    "chart index": (
        lambda text: versions_in(text.encode("utf-8", "surrogatepass"), "web", "here"), INDEX, CiGitopsError
    ),
    "trailers": (lambda text: (parse_trailers(text), split_trailers(text)), MESSAGE, CiGitopsError),
    "description": (parse_block, BLOCK, CiGitopsError),
    "Dockerfile": (
        lambda text: (dockerfile.find_instruction(text, "RUN x"), dockerfile.instruction_at(text, 3)), DOCKERFILE,
        CiGitopsError,
    ),
    "holds": (
        lambda text: parse_holds(text, "h.yaml"), "holds:\n- {app: shop, image: r/x:1, reason: bad}\n", CiGitopsError
    ),
    "image": (ImageRef.parse, f"r.example.com:5000/a/b:1.2@{_DIGEST}", CiGitopsError),
    "image to set": (ImageArgument.parse, f"a=r/b:1@{_DIGEST}", CiGitopsError),
    "address": (parse_git_url, "https://u:p@h:1/a/b.git", CiGitopsError),
    "origin": (origin, "https://a.example.com:1/x", ValueError),
    "manifests": (lambda text: parse_manifests(text, "x"), MANIFESTS, CiGitopsError),
    "preview": (lambda text: read_preview(text, ".ci-gitops/x.yaml"), "version: 1\nname: x\nttl: 7d\n", CiGitopsError),
    "window": (lambda text: parse_when(text, 3600), "Mon-Fri 09:00-16:00", ValueError),
    "duration": (parse_duration, "1h30m", ValueError),
    "version": (Version.read, "1.2.3-rc.1+b", CiGitopsError),
    "range": (Range.parse, ">=1.2 <2 || ~3", ValueError),
    "images of a kustomization": (
        lambda text: set_images(text, ["r/x:2"], path="kustomization.yaml"), KUSTOMIZATION, CiGitopsError
    ),
    "images in use": (lambda text: image_uses(text, path="values.yaml"), MANIFESTS, CiGitopsError),
    "values": (lambda text: set_values(text, [("a.b", "1")], path="v.yaml"), "a: {b: 2} # c\n", CiGitopsError),
    "charts": (
        lambda text: set_charts(text, [("c", "2")], path="Chart.yaml"), "dependencies:\n- name: c\n  version: 1\n",
        CiGitopsError,
    ),
    "labels": (
        lambda text: compare_address(Built(text, "a", ""), Built(text, "b", ""), "gitlab"), "https://a/b", CiGitopsError
    ),
    "created": (seconds_of, "2026-01-01T00:00:00Z", CiGitopsError),
}  # fmt: skip


def changed(random_: random.Random, text: str) -> str:
    """The text with some of its characters or words replaced, taken out, doubled, or a piece put in."""
    for _ in range(random_.randint(1, 4)):
        start = random_.randint(0, len(text))
        end = min(len(text), start + random_.randint(0, 12))
        words = list(re.finditer(r"[\w./'-]+", text)) or [re.match("", text)]
        word = random_.choice(words)
        assert word
        text = random_.choice((
            f"{text[:start]}{random_.choice(PIECES)}{text[start:]}",
            f"{text[: word.start()]}{random_.choice(PIECES)}{text[word.end() :]}",
            f"{text[:start]}{text[end:]}",
            f"{text[:start]}{text[start:end] * 3}{text[end:]}",
            f"{text[:start]}{chr(random_.randint(0, 0x2FFF))}{text[end:]}",
        ))  # fmt: skip
    return text


def enter(door: str, text: str) -> None:
    read, _, may_raise = DOORS[door]
    begun = time.process_time()
    with contextlib.suppress(CiGitopsError, may_raise):
        read(text)
    taken = time.process_time() - begun
    assert taken < _SECONDS, f"{taken:.1f} s for {text[:200]!r}"


@pytest.mark.parametrize("door", DOORS)
def test_what_is_right_is_read(door: str) -> None:
    enter(door, DOORS[door][1])


@pytest.mark.parametrize("door", DOORS)
def test_pieces_that_readers_stumble_over(door: str) -> None:
    for piece in PIECES:
        enter(door, piece)
        enter(door, f"a: {piece}\n")


@pytest.mark.parametrize("rounds", [60, pytest.param(4_000, marks=pytest.mark.full)])
def test_changed_texts(rounds: int) -> None:
    random_ = random.Random(SEED)
    for _ in range(rounds):
        for door, (_, text, _) in DOORS.items():
            enter(door, changed(random_, text))


LONG = ("a", "[", "{", "(", "-", " ", "\n", "\n- ", "a: b\n", "'", "&a ", "<!-- ci-gitops:begin {", "%20", "/", "@")


@pytest.mark.parametrize("size", [20_000, pytest.param(200_000, marks=pytest.mark.full)])
def test_long_texts(size: int) -> None:
    """Nothing takes time by the square of a text's length."""
    for piece in LONG:
        for door in DOORS:
            enter(door, (piece * size)[:size])
