"""`ci-gitops exit-codes`: the contract that CI templates build on, from the same list as every help page."""

from __future__ import annotations

from ci_gitops.commands.common import EXIT_CODES, command
from ci_gitops.results import Result


@command("exit-codes", exits=(0, 2))
def cli() -> Result:
    """List the exit codes and what each one means.

    Where several targets end differently, the first of 70, 1, 4, 5, 75, 3, 0 counts.
    """
    width = max(len(str(code)) for code in EXIT_CODES)
    text = "\n".join(f"{code:>{width}}  {meaning}" for code, meaning in EXIT_CODES.items())
    items = [{"code": code, "meaning": meaning} for code, meaning in EXIT_CODES.items()]
    return Result("ExitCodes", {"items": items}, text)
