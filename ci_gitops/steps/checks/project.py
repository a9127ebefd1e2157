"""Are the settings of each project at its forge what the road needs, and which of them can be seen at all?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.adapters.git import Repository
from ci_gitops.adapters.git_access import access_for
from ci_gitops.core.forge_settings import Needs, Setting
from ci_gitops.errors import CiGitopsError, UsageError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.checks.base import Finding, Scene
from ci_gitops.steps.checks.repositories import Goal, goal_of, goals
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.locate import own_project

_PIPELINE = ".gitlab-ci.yml"


def check(scene: Scene) -> Iterator[Finding]:
    own = False
    for goal, environments in _places(scene).items():
        here = scene.run.ci.gitlab and own_project(scene.run, goal.url)
        own = own or here
        for setting in _asked(scene, goal, environments, here=here):
            yield _finding(setting)
    first = next(iter(goals(scene)), None)
    if first and not own and scene.run.ci.gitlab and scene.run.ci.project:
        for setting in _asked(scene, first, (), project=scene.run.ci.project, here=True):
            yield _finding(setting)


def _places(scene: Scene) -> Mapping[Goal, Sequence[EnvironmentSettings]]:
    """What is written to each branch, whether it is pushed there or merged."""
    found: dict[Goal, list[EnvironmentSettings]] = {}
    for environment in scene.chosen():
        if scene.place:
            goal = goal_of(scene, scene.place, environment)
            found.setdefault(Goal(goal.url, goal.branch, False, goal.token_environment), []).append(environment)
    return found


def _asked(
    scene: Scene, goal: Goal, environments: Sequence[EnvironmentSettings], *, project: str = "", here: bool = False
) -> Sequence[Setting]:
    """Nothing where no forge is named: whoever needs one is told so by `forge`."""
    config = scene.settings.config if scene.settings else None
    try:
        access = access_for(
            goal.url, scene.run.environ, ca_file=scene.reach.ca_file, token_file=scene.reach.token_file,
            environment=goal.token_environment,
        )  # fmt: skip
        with Repository.open(goal.url, access, trace=scene.run.output.command, timeout=scene.reach.timeout) as opened:
            forge = forge_for(scene.run, opened, None, config=config, project=project or None)
            branch = _branch(scene, goal, forge, other=bool(project))
            return forge.settings(_needs(scene, branch, environments, goal, here=here))
    except UsageError:
        return ()
    except CiGitopsError as error:
        what = f"The settings of {project or goal.url} cannot be seen: {error.message}"
        return [Setting("settings", "skip", what, error.hint)]


def _branch(scene: Scene, goal: Goal, forge: Forge, *, other: bool) -> str:
    if other:
        return scene.run.environ.get("CI_DEFAULT_BRANCH") or forge.project().default_branch
    return goal.branch or forge.project().default_branch


def _needs(
    scene: Scene, branch: str, environments: Sequence[EnvironmentSettings], goal: Goal, *, here: bool
) -> Needs:  # fmt: skip
    reviewed = [one for one in environments if one.write == "merge-request"]
    known = scene.settings.paths if scene.settings and scene.place and goal.url == scene.place.url else None
    return Needs(
        branch,
        pushed=tuple(one.name for one in environments if one.write == "push"),
        reviewed=tuple(one.name for one in reviewed),
        merges=any(one.merge != "manual" for one in reviewed),
        scheduled=tuple(_scheduled(scene, environments)),
        freezes=tuple(one.name for one in environments if one.gates.freeze),
        has_ci=None if known is None or not environments else _PIPELINE in known,
        images=here and "DOCKER_REGISTRY_HOST" not in scene.run.environ and (known is None or _builds(known)),
        now=int(time.time()),
    )


def _builds(paths: frozenset[str]) -> bool:
    return any(path.rpartition("/")[2].startswith(("Dockerfile", "Containerfile")) for path in paths)


def _scheduled(scene: Scene, environments: Sequence[EnvironmentSettings]) -> Iterator[str]:
    """What happens by the clock alone."""
    if any(one.destination and one.operator == "ci-gitops" for one in environments):
        yield "drift is found"
    if any(one.write == "merge-request" and one.merge != "manual" for one in environments):
        yield "merge requests are merged once their gates hold"
    if environments and scene.settings:
        if any(app.policies for app in scene.settings.apps.values()):
            yield "registries are scanned"
        if scene.settings.previews:
            yield "old previews go"


def _finding(setting: Setting) -> Finding:
    change = f"{setting.change}\n{setting.page}" if setting.change and setting.page else setting.change
    return Finding(setting.check, setting.state, setting.message, change)
