"""Apps in the order of `after`: which of a pass's targets may go now, and which can no longer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Sequence:
    """The names still to be done. A name waits for those of its `after` that are in the pass at all."""

    after: Mapping[str, tuple[str, ...]]
    _waiting: dict[str, None] = field(default_factory=dict)
    _failed: dict[str, str] = field(default_factory=dict)  # name -> because of which one

    @classmethod
    def of(cls, names: Iterable[str], after: Mapping[str, Iterable[str]]) -> Sequence:
        given = dict.fromkeys(names)
        edges = {name: tuple(other for other in after.get(name, ()) if other in given) for name in given}
        return cls(edges, dict(given))

    def ready(self, running: Iterable[str]) -> list[str]:
        """Those whose predecessors are all done well; they count as taken from now on."""
        pending = {*self._waiting, *running}
        found = [name for name in self._waiting if not pending.intersection(self.after[name])]
        found = [name for name in found if self.blocked_by(name) is None]
        for name in found:
            del self._waiting[name]
        return found

    def fail(self, name: str) -> list[tuple[str, str]]:
        """What cannot go any more since `name` failed: (name, the one that it waited for), in order."""
        self._failed[name] = name
        self._waiting.pop(name, None)  # it may never have begun
        lost: list[tuple[str, str]] = []
        while found := [other for other in self._waiting if self.blocked_by(other)]:
            for other in found:
                because = self.blocked_by(other) or name
                del self._waiting[other]
                self._failed[other] = because
                lost.append((other, because))
        return lost

    def blocked_by(self, name: str) -> str | None:
        return next((before for before in self.after[name] if before in self._failed), None)
