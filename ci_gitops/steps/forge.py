"""The forge of a config repository that was opened: which kind it is, and who acts there."""

from __future__ import annotations

from ci_gitops.adapters.forges import forge_kind, open_forge
from ci_gitops.adapters.forges.base import Forge
from ci_gitops.adapters.git import Repository
from ci_gitops.run import Run
from ci_gitops.steps import people


def forge_for(run: Run, repository: Repository, asked: str | None) -> Forge:
    """`asked` is `--forge`; UsageError where nothing says which forge it is, or this version cannot speak to it."""
    kind = forge_kind(asked, repository.url, run.ci, run.environ)
    run.output.detail(f"Merge requests of {repository.url.clean}: {kind} forge")
    return open_forge(kind, repository, people.author(run))
