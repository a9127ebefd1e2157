"""Who writes: the name and address on our commits, and who caused them."""

from __future__ import annotations

from ci_gitops.adapters.git import Person, configured_person
from ci_gitops.core.text import plain
from ci_gitops.core.trailers import Source
from ci_gitops.run import Run

_NOBODY = Person("ci-gitops", "ci-gitops@localhost")


def author(run: Run) -> Person:
    """`GITLAB_USERNAME`/`GITLAB_EMAIL`, the CI user, Git's own configuration, else `ci-gitops`."""
    environ, ci = run.environ, run.ci
    for name, email in (
        (environ.get("GITLAB_USERNAME"), environ.get("GITLAB_EMAIL")),
        (ci.user_name or ci.user, ci.user_email),
    ):
        if name or email:
            return Person(_word(name or (email or "").partition("@")[0]), _word(email or _NOBODY.email))
    return configured_person(run.cwd, environ) or _NOBODY


def actor(run: Run) -> str | None:
    """The login of the person who started the pipeline."""
    return run.ci.user or run.environ.get("GITLAB_USERNAME") or None


def source(run: Run) -> Source | None:
    """The build that this pipeline made, as far as CI says it; None outside CI."""
    ci = run.ci
    return Source(ci.project, ci.commit, ci.pipeline_id, ci.commit_time) if ci.project else None


def _word(text: str) -> str:
    """What Git takes as a name or address: one line without angle brackets."""
    return " ".join(plain(text).replace("<", "").replace(">", "").split()) or _NOBODY.name
