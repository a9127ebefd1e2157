"""The message of a commit that holds rendered manifests: what was rendered, from which revision."""

from __future__ import annotations

from collections.abc import Sequence

from ci_gitops.core.targets import Target
from ci_gitops.core.text import counted

_NAMED = 3


def rendered_message(environment: str, revision: str, targets: Sequence[Target]) -> str:
    """`render(production): shop, web at 4f1a…`, with trailers that name the revision and each target."""
    names = sorted(target.app for target in targets)
    if not names:
        return f"render({environment}): nothing new at {revision[:12]}\n\nCi-Gitops-Revision: {revision}\n"
    what = ", ".join(names) if len(names) <= _NAMED else counted(len(names), "app")
    trailers = [f"Ci-Gitops-Revision: {revision}", *(f"Ci-Gitops-Target: {environment}/{name}" for name in names)]
    return f"render({environment}): {what} at {revision[:12]}\n\n" + "\n".join(trailers) + "\n"
