"""A candidate that waits behind an open merge request: a comment there says so, and whoever merges that opens it.

The comment is the only memory of it. What is opened then is what is healthy then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.markdown import code
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.promotion import Candidate
from ci_gitops.errors import CiGitopsError
from ci_gitops.run import Run
from ci_gitops.settings import Settings

if TYPE_CHECKING:
    from ci_gitops.steps.merge import MergeAsk

_KEY = "promotion/"  # and the environment that it comes from


@dataclass(frozen=True, slots=True)
class Behind:
    """What waited behind a merge request that was merged."""

    source: str
    target: str
    apps: tuple[str, ...]


def announce(run: Run, forge: Forge, iid: int, source: str, target: str, candidates: Sequence[Candidate]) -> None:
    """Tell on the open merge request what is newer than it."""
    newer = [
        f"- {code(each.app)}: {code(str(version.image))}"
        for each in candidates for version in each.versions if version.moves
    ]  # fmt: skip
    newer += [
        f"- {code(each.app)}: {code(f'{name} {version}')}" for each in candidates for name, version in each.charts
    ]
    command = code(f"ci-gitops promote --from {source} --to {target}")
    lines = [f"{code(source)} runs something newer by now, which is not part of this merge request:", "", *newer]
    try:
        forge.comment(iid, _KEY + source, "\n".join([*lines, "", f"{command} brings it when this one is merged."]))
    except CiGitopsError as error:
        run.output.detail(f"!{iid} does not tell of it: {error.message}")


def behind(forge: Forge, settings: Settings, request: MergeRequest) -> tuple[Behind, ...]:
    """What waits behind it in environments where the next one follows by itself (`supersede: queue`)."""
    queued = {name for name in request.environments & set(settings.environments)
              if settings.environment(name).supersede == "queue"}  # fmt: skip
    if not queued:
        return ()
    sources = {each.key.removeprefix(_KEY) for each in forge.comments(request.iid) if each.key.startswith(_KEY)}
    held = [name.split("/", 1) for name in sorted(request.targets)]
    return tuple(
        Behind(source, target, tuple(app for environment, app in held if environment == target))
        for source in sorted(sources & set(settings.environments))
        for target in sorted(queued)
    )


def follow(run: Run, ask: MergeAsk, waiting: Sequence[Behind]) -> None:
    """Promote what waited. What goes wrong is told: the merge itself is done."""
    if not waiting:
        return
    from ci_gitops.steps.promote import PromoteCall, promote  # few merges are followed by one

    for each in waiting:
        run.output.step(f"Bringing what waited behind it from {each.source} to {each.target}")
        try:
            result = promote(run, PromoteCall(
                to=each.target, source=each.source, apps=each.apps, repo=ask.repo, branch=ask.branch, forge=ask.forge,
                forge_url=ask.forge_url, token_file=ask.token_file, ca_file=ask.ca_file,
            ))  # fmt: skip
        except CiGitopsError as error:
            again = f"`ci-gitops promote --from {each.source} --to {each.target}`"
            run.output.warn(f"What waited for {each.target} is not brought yet: {error.message} {again} tries again.")
        else:
            for write in result.document["writes"]:
                request = write["mergeRequest"]
                what = f"!{request['iid']} {request['title']}" if request else each.target
                run.output.note(f"{write['outcome'].capitalize()}: {what}")
