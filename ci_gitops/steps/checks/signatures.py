"""Where environments want signatures: is cosign here to check them?"""

from __future__ import annotations

from collections.abc import Iterator

from ci_gitops.adapters.cosign import Cosign
from ci_gitops.steps.checks.base import Finding, Scene


def check(scene: Scene) -> Iterator[Finding]:
    wanting = [environment.name for environment in scene.chosen() if environment.verify.cosign]
    if not wanting:
        return
    names, cosign = ", ".join(wanting), Cosign.find(scene.run.environ)
    if cosign and cosign.runs():
        yield Finding("signatures", "ok", f"cosign ({cosign.program}) checks the signatures that {names} wants.")
    else:
        yield Finding(
            "signatures", "fail", f"Signatures are wanted for {names}, and cosign does not run here.",
            "PATH: install cosign 2 or 3",
        )  # fmt: skip
