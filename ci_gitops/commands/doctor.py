"""`ci-gitops doctor`: ask everything that the road needs, at once, and name the setting where one says no."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ci_gitops.commands.common import Duration, ca_file_option, command, option, pass_run, token_file_option
from ci_gitops.core.text import counted
from ci_gitops.errors import CiGitopsError
from ci_gitops.output import styled
from ci_gitops.results import Result
from ci_gitops.run import Run

if TYPE_CHECKING:
    from ci_gitops.steps.checks import Finding, State

_COLOURS: dict[State, str] = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "dim"}


@command("doctor", exits=(0, 1, 2))
@option("--repo", metavar="URL|PATH", help="The config repository.  [default: as for `update`]")
@option("--branch", help="Its branch.  [default: as for `update`]")
@option("--environment", "environments", multiple=True, metavar="ENV", help="Look at this one only; may be repeated.")
@ca_file_option
@token_file_option
@option(
    "--timeout",
    type=Duration(),
    default="30s",
    show_default=True,
    metavar="DURATION",
    help="How long to wait for all checks.",
)
@pass_run
def cli(
    run: Run,
    repo: str | None,
    branch: str | None,
    environments: tuple[str, ...],
    ca_file: Path | None,
    token_file: Path | None,
    timeout: float,
) -> Result:
    """Check tokens, rights, programs and servers; name the setting where something is wrong.

    Nothing is written anywhere. Hooks are only met by a real push. What the token may not see is said: no failure.
    """
    from ci_gitops.steps.checks import CHECKS, examine
    from ci_gitops.steps.checks.places import in_gitlab
    from ci_gitops.steps.scene import set_scene
    from ci_gitops.steps.workplace import Reach

    started = time.monotonic()
    with run.output.section("doctor", "Looking at everything"):
        scene = set_scene(run, Reach(repo, branch, ca_file, token_file, timeout=timeout / 2), environments)
        left = timeout - (time.monotonic() - started)
        found = [*examine(CHECKS, scene, max(left, timeout / 2)), *_variables(run)]
    findings = [*dict.fromkeys(in_gitlab(finding, run.ci) for finding in found)]
    result = Result("DoctorReport", {"items": [_item(finding) for finding in findings]}, _text(findings))
    failed = [finding.check for finding in findings if finding.state == "fail"]
    if failed:
        message = f"{counted(len(failed), 'check')} failed: {', '.join(dict.fromkeys(failed))}."
        raise CiGitopsError(message, hint="Change what the lines with `fail` say.", result=result)
    return result


def _variables(run: Run) -> Iterator[Finding]:
    """Variables that look like ours and that nothing reads."""
    from ci_gitops.commands.variables import unknown_variables
    from ci_gitops.steps.checks import Finding

    for name, meant in unknown_variables(run.environ):
        hint = f" Is {meant} meant?" if meant else ""
        yield Finding("variables", "warn", f"{name} is set, and nothing reads it.{hint}", name)


def _item(finding: Finding) -> dict[str, str | None]:
    return {
        "check": finding.check,
        "state": finding.state,
        "message": finding.message,
        "setting": finding.setting,
    }


def _text(findings: Sequence[Finding]) -> str:
    width = max((len(finding.check) for finding in findings), default=0)
    lines = []
    for finding in findings:
        state = styled(_COLOURS[finding.state], f"{finding.state:4}")
        first, *rest = finding.message.splitlines()
        lines.append(f"{state}  {finding.check:{width}}  {first}")
        lines += [" " * (width + 8) + line for line in rest]
        if finding.setting and finding.state != "ok":
            lines += [" " * (width + 8) + line for line in f"change: {finding.setting}".splitlines()]
    states = [finding.state for finding in findings]
    counts = [f"{states.count(state)} {state}" for state in _COLOURS if state != "skip" or state in states]
    return "\n".join([*lines, ", ".join(counts)])
