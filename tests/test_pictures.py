"""The pictures of docs/ show what the program says today, and can be read by everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.recordings.road import Picture, in_production, to_staging
from docs.recordings.stage import ROOT, stage

PICTURES = ROOT / "docs" / "pictures"
DRAWN = sorted(PICTURES.glob("*.svg"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
SVG = "{http://www.w3.org/2000/svg}"


#: Lines that say what this machine has.
OF_HERE = re.compile(r"^ok *(git|certificates|engine|renderer|sandbox) |^warn *engine |DOCKER_HOST|^\d+ ok, ")


def compare(made: Iterator[Picture]) -> list[str]:
    names = []
    for one in made:
        kept = (PICTURES / f"{one.name}.svg").read_text()
        same = said(kept) == said(one.svg) if one.name == "doctor" else kept == one.svg
        assert same, f"{one.name}: run `make pictures`"
        names.append(f"{one.name}.svg")
    return names


def said(svg: str) -> list[str]:
    """Without what lies between words of different colours."""
    lines = ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    return [line for line in lines if not OF_HERE.search(line)]


def test_the_first_pictures_are_what_the_program_says() -> None:
    with stage() as shop:
        assert len(compare(islice(to_staging(shop), 2))) == 2


@pytest.mark.full
def test_every_picture_is_what_the_program_says() -> None:
    with stage() as shop:
        made = compare(chain(to_staging(shop), in_production(shop)))
    assert sorted(made) == [file.name for file in DRAWN]


@pytest.mark.parametrize("file", DRAWN, ids=lambda file: file.stem)
def test_a_picture_says_in_words_what_it_shows(file: Path) -> None:
    drawn = ElementTree.parse(file).getroot()
    assert drawn.get("role") == "img"
    assert drawn.findtext(f"{SVG}title")
    assert not re.search(r"(?:href=|url\(|@import)", file.read_text()), "nothing is fetched"


def test_pictures_are_light() -> None:
    sizes = [file.stat().st_size for file in PICTURES.iterdir()]
    assert max(sizes) < 150_000
    assert sum(sizes) < 1_000_000


def test_every_picture_is_on_a_page_with_words_in_its_place() -> None:
    shown = set()
    for page in PAGES:
        for words, target in SHOWN.findall(page.read_text()):
            assert len(words) > 20, f"{page.name}: say what {target} shows, for who does not see it"
            shown.add((page.parent / target).resolve())
    assert not {*PICTURES.iterdir()} - shown
