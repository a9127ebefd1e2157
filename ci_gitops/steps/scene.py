"""What `doctor` looks at: the config repository and its settings, or why they cannot be had."""

from __future__ import annotations

from ci_gitops.adapters.git import checkout_origin
from ci_gitops.errors import CiGitopsError
from ci_gitops.run import Run
from ci_gitops.steps.checks.base import Scene
from ci_gitops.steps.locate import Place, find_place
from ci_gitops.steps.overview import look
from ci_gitops.steps.workplace import Reach


def set_scene(run: Run, reach: Reach, environments: tuple[str, ...] = ()) -> Scene:
    """A repository that does not answer is no end: what can be looked at without it is."""
    try:
        seen = look(run, reach)
    except CiGitopsError as error:
        return Scene(run, reach, _place(run, reach), None, error, environments)
    return Scene(run, reach, seen.place, seen.settings, None, environments)


def _place(run: Run, reach: Reach) -> Place | None:
    """A local file that cannot be read may have named it; the checkout's origin is the next best."""
    try:
        return find_place(run, reach.repo, reach.branch)
    except CiGitopsError:
        origin = checkout_origin(run.cwd, run.environ)
        return Place(origin, reach.branch, "the checkout's origin") if origin else None
