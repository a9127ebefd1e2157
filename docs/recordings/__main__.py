"""`python -m docs.recordings` writes docs/pictures/ anew, and tests/test_pictures.py compares."""

from __future__ import annotations

from itertools import chain

from docs.recordings.road import in_production, to_staging
from docs.recordings.stage import ROOT, stage

PICTURES = ROOT / "docs" / "pictures"


def write() -> None:
    PICTURES.mkdir(exist_ok=True)
    with stage() as shop:
        for made in chain(to_staging(shop), in_production(shop)):
            (PICTURES / f"{made.name}.svg").write_text(made.svg)


if __name__ == "__main__":
    write()
