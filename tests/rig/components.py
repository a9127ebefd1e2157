"""Lay the templates out as GitLab's CI/CD catalogue wants them: `python -m tests.rig.components FOLDER VERSION`.

The release job does so in the commit of a tag. `templates/NAME.yml` is the same file as `ci-templates/NAME.yml`; where
the version is another one, the image that its jobs run in is of that version.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.rig.templates import FOLDER

_IMAGE = re.compile(r"(?m)^(      default: \$CI_REGISTRY/ci-gitops/ci-gitops:).*$")


def released(folder: Path, version: str) -> list[Path]:
    """Write FOLDER/templates, and give its files."""
    target = folder / "templates"
    target.mkdir(parents=True, exist_ok=True)
    made = []
    for path in sorted(FOLDER.glob("*.yml")):
        text, count = _IMAGE.subn(rf"\g<1>{version}", path.read_text())
        if count != 1:
            raise SystemExit(f"{path.name} does not say which image its jobs run in.")
        (target / path.name).write_text(text)
        made.append(target / path.name)
    return made


if __name__ == "__main__":
    for written in released(Path(sys.argv[1]), sys.argv[2].removeprefix("v")):
        sys.stdout.write(f"{written}\n")
