"""Whether an application works, by the questions of the configuration: what was asked and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ci_gitops.core.health import Health
from ci_gitops.core.text import counted

#: `late`: the run ended before the check's own time was over, which says nothing about the application.
CheckEnd = Literal["passed", "failed", "late"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One check: the address without its login, and the last answer in words."""

    address: str
    end: CheckEnd
    message: str
    tries: int
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        return {
            "http": self.address,
            "outcome": self.end,
            "message": self.message,
            "tries": self.tries,
            "seconds": round(self.seconds, 1),
        }

    @property
    def line(self) -> str:
        return f"{self.address}: {self.message} ({counted(self.tries, 'try', 'tries')} in {self.seconds:.0f} s)"


def checked_health(checks: Sequence[Checked]) -> Health:
    """A check that fails makes its app degraded, however well its objects are."""
    failed = [each for each in checks if each.end != "passed"]
    if failed:
        status: Literal["degraded", "progressing"] = (
            "degraded" if any(each.end == "failed" for each in failed) else "progressing"
        )
        return Health(status, " ".join(f"Check {each.line}." for each in failed))
    return Health("healthy", f"{counted(len(checks), 'check')} passed." if checks else "There is nothing to check.")
