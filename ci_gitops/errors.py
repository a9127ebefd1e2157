"""Every failure that a person can do something about, as one small tree.

    CiGitopsError            1   an expected failure
    ├── UsageError           2   the command line asks for something that cannot be
    │   └── SettingsError    2   ... or the configuration file does
    ├── EditError            1   a file cannot be edited as asked
    ├── BuildError           1   an image did not build
    ├── RegistryError        1   a registry refused or answered nonsense
    ├── GitError             1   a Git command failed
    ├── ForgeError           1   a forge refused or answered nonsense
    ├── RenderError          1   a target does not render
    ├── ClusterError         1   the destination refused
    ├── UnhealthyError       4   applied, but not healthy
    ├── RefusedError         5   a gate, guard or hold says no
    └── TemporaryError      75   trouble that may pass: try again

Adapters wrap foreign errors in one of these (`raise … from error`), so that nothing above them knows
a provider's library. Whatever else reaches the edge is a bug and exits with 70.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ci_gitops.results import Result


class CiGitopsError(Exception):
    """What happened, to which object, and what to do now.

    `message` names the object, the file or the address and what was expected; `hint` is the next step.
    `result` is the command's document where there is one to print although it failed.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "failure"

    def __init__(self, message: str, *, hint: str | None = None, result: Result | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.result = result


#: Of several failures the one whose exit code stands first here is the one that counts.
_PRECEDENCE = (70, 1, 2, 4, 5, 75)


def decisive(errors: Sequence[CiGitopsError]) -> CiGitopsError:
    """The failure that makes the exit code of several; the first of those with that code."""
    return min(errors, key=lambda error: _PRECEDENCE.index(error.exit_code))


class UsageError(CiGitopsError):
    exit_code = 2
    kind = "usage"


class SettingsError(UsageError):
    kind = "settings"


class EditError(CiGitopsError):
    kind = "edit"


class BuildError(CiGitopsError):
    kind = "build"


class RegistryError(CiGitopsError):
    kind = "registry"


class GitError(CiGitopsError):
    kind = "git"


class ForgeError(CiGitopsError):
    kind = "forge"


class RenderError(CiGitopsError):
    kind = "render"


class ClusterError(CiGitopsError):
    kind = "cluster"


class UnhealthyError(CiGitopsError):
    exit_code = 4
    kind = "unhealthy"


class RefusedError(CiGitopsError):
    exit_code = 5
    kind = "refused"


class TemporaryError(CiGitopsError):
    exit_code = 75
    kind = "temporary"
