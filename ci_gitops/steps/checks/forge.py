"""Does the forge answer, who are we there, and may our token do what merge requests need?"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from ci_gitops.adapters.forges.base import Account
from ci_gitops.adapters.git import Repository
from ci_gitops.steps.checks.base import Finding, Scene
from ci_gitops.steps.forge import forge_for

_SOON = 14  # days
#: The scope without which nothing goes, and what to give instead. Fine-grained tokens of GitHub tell no scopes.
_NEEDED = {
    "gitlab": ("api", "a token with the scopes api and write_repository"),
    "github": ("repo", "a classic token with the scope repo, a fine-grained one, or a GitHub App"),
}


def look(scene: Scene, opened: Repository, url: str) -> Iterator[Finding]:
    environ = scene.run.environ
    config = scene.settings.config if scene.settings else None
    forge = forge_for(scene.run, opened, environ.get("CI_GITOPS_FORGE"), config=config)
    account, project = forge.whoami(), forge.project()
    source = opened.access.api_source or "CI_GITOPS_TOKEN"
    kind = f" ({account.kind})" if account.kind else ""
    needed, wanted = _NEEDED.get(forge.kind, ("", ""))
    if needed and account.scopes and needed not in account.scopes:
        yield Finding(
            "forge", "fail",
            f"{url}: the token of {account.login}{kind} has the scopes {', '.join(account.scopes)}; merge requests"
            f" need {needed}.", f"{source}: {wanted}",
        )  # fmt: skip
    else:
        who = account.login if account.kind else account.name or account.login
        yield Finding("forge", "ok", f"{url}: {who}{kind} may ask for merges to {project.default_branch}.")
    yield from _lifetime(account, url, source, datetime.datetime.now(datetime.UTC).date())


def _lifetime(account: Account, url: str, source: str, today: datetime.date) -> Iterator[Finding]:
    """A token that ends soon is told while there is time."""
    if account.expires:
        left = (datetime.date.fromisoformat(account.expires[:10]) - today).days
        if left <= _SOON:
            when = f"ends on {account.expires[:10]}"
            yield Finding("forge", "warn", f"{url}: the token of {account.login} {when}.", f"{source}: a new token")
