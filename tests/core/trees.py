"""The files of a config repository, as a test writes them down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ci_gitops.core.targets import with_parents


class MemoryTree:
    """The Protocol `Tree` over texts by their path."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)
        self._there = with_parents(self._texts)

    def holds(self, path: str) -> bool:
        return path in self._there

    def files(self) -> tuple[str, ...]:
        return tuple(self._texts)

    def read(self, paths: Iterable[str]) -> Mapping[str, str]:
        return {path: self._texts[path] for path in paths if path in self._texts}
