"""A folder of YAML files, taken as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ci_gitops.core.manifests import Manifest, parse
from ci_gitops.errors import RenderError

_SUFFIXES = (".yaml", ".yml", ".json")


class Plain:
    name = "plain"

    def fits(self, folder: Path) -> bool:
        return bool(self._files(folder))

    def render(self, folder: Path, environ: Mapping[str, str]) -> tuple[Manifest, ...]:
        found: list[Manifest] = []
        for file in self._files(folder):
            try:
                found += parse(file.read_text(encoding="utf-8-sig"), file.name)
            except UnicodeDecodeError as error:
                raise RenderError(f"{file.name} is not UTF-8 text.") from error
        return tuple(found)

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        """In the order of their names; links are not followed, and hidden files are not ours."""
        return sorted(
            file
            for file in folder.iterdir()
            if file.suffix in _SUFFIXES and not file.name.startswith(".") and file.is_file() and not file.is_symlink()
        )
