"""The documentation as a site: every page in its menu, every link and anchor right, nothing asked of other servers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from ci_gitops import __version__
from ci_gitops.commands import COMMANDS
from tests.rig.settings_docs import schema_text

ROOT = Path(__file__).parents[1]
#: What a browser loads by itself.
LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]*\ssrc=\"?(http[^\s\">]*)|<link[^>]*rel=\"?stylesheet[^>]*href=\"?(http[^\s\">]*)"
)
#: By what an editor finds the schema: the line that `init` writes.
SCHEMA = re.compile(r"\$schema=https://gitlab\.example\.com/ci-gitops/ci-gitops/-/raw/v([^/]+)/(\S+)")


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_the_site_has_every_page(site: Path) -> None:
    home = (site / "index.html").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        built = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert (site / built).is_file()
        assert f'href="{built}"' in home, f"{built} is not in the menu"
    assert "ci-gitops demo --keep shop" in home, "the README is the home page"
    assert (site / "schema" / "ci-gitops.schema.json").is_file()
    assert not list(site.rglob("*.py"))


def test_editors_find_the_schema_where_the_pages_say(site: Path) -> None:
    pages = [page.read_text() for page in (ROOT / "docs").rglob("*.md")]
    named = {found for page in pages for found in SCHEMA.findall(page)}
    ((version, path),) = named
    assert version == __version__
    published = site / Path(path).relative_to("docs")
    assert published.read_text() == (ROOT / path).read_text() == schema_text()
    for schema in (site / "schema").glob("*.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(schema.read_text()))


def test_it_can_be_searched(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text()
    assert not [name for name in COMMANDS if f'"commands/{name}.html"' not in index]


def test_no_other_server_is_asked(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not LOADED.findall(page.read_text()), page
