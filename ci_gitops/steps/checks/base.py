"""What all checks share: what they find, and what they look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ci_gitops.errors import CiGitopsError, TemporaryError
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings, Settings
from ci_gitops.steps.locate import Place
from ci_gitops.steps.workplace import Reach

#: `skip`: our token may not see it, so that it is neither right nor wrong.
State = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `setting` is what to change, where not all is well."""

    check: str
    state: State
    message: str
    setting: str | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """One run of `doctor`. `trouble` is why there are no settings; `place` is None where no repository is named."""

    run: Run
    reach: Reach
    place: Place | None
    settings: Settings | None
    trouble: CiGitopsError | None = None
    environments: tuple[str, ...] = ()

    def chosen(self) -> tuple[EnvironmentSettings, ...]:
        """The environments that are looked at."""
        if self.settings is None:
            return ()
        known = self.settings.environments
        return tuple(known[name] for name in self.environments or known if name in known)


def failed(check: str, error: CiGitopsError, setting: str) -> Finding:
    """A failure in the error's own words, with the setting and what the error says about it."""
    if isinstance(error, TemporaryError):
        return Finding(check, "fail", error.message, f"{setting}: is it right, and can it be reached from here?")
    return Finding(check, "fail", error.message, f"{setting}: {error.hint}" if error.hint else setting)
