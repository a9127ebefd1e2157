"""A folder of YAML files, or one file, taken as they are."""

from __future__ import annotations

from pathlib import Path

from ci_gitops.adapters.renderers.base import Job
from ci_gitops.core.manifests import Manifest, parse
from ci_gitops.errors import RenderError

_SUFFIXES = (".yaml", ".yml", ".json")


class Plain:
    name = "plain"

    def fits(self, job: Job) -> bool:
        return bool(self.inputs(job))

    def inputs(self, job: Job) -> tuple[Path, ...]:
        return files_with(job, _SUFFIXES)

    def render(self, job: Job) -> tuple[Manifest, ...]:
        return tuple(manifest for file in self.inputs(job) for manifest in read(file))


def files_with(job: Job, suffixes: tuple[str, ...]) -> tuple[Path, ...]:
    """In the order of their names; links are not followed, and hidden files are not ours."""
    there = [job.place] if job.place.is_file() else sorted(job.folder.iterdir())
    return tuple(
        file
        for file in there
        if file.suffix in suffixes and not file.name.startswith(".") and file.is_file() and not file.is_symlink()
    )


def read(file: Path) -> tuple[Manifest, ...]:
    try:
        return parse(file.read_text(encoding="utf-8-sig"), file.name)
    except UnicodeDecodeError as error:
        raise RenderError(f"{file.name} is not UTF-8 text.") from error
