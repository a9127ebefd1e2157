"""The story of `pipeline generate`: which targets changed, and the child pipeline that deploys them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ci_gitops import __version__
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.handover import must_be_writable, write_text
from ci_gitops.core.child_pipeline import Spread, child_pipeline
from ci_gitops.core.guards import is_new
from ci_gitops.core.targets import Target
from ci_gitops.core.text import counted
from ci_gitops.errors import CiGitopsError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask, declared_at
from ci_gitops.steps.destinations import Destinations
from ci_gitops.steps.looking import sites_of
from ci_gitops.steps.rendered import RenderedSets
from ci_gitops.steps.revisions import changed_since
from ci_gitops.steps.site import Site
from ci_gitops.steps.workplace import Workplace, Workplaces

#: What each job is told that this call was told: its options, by the variables of `deploy`.
_HANDED_ON = ("repo", "branch", "context", "kubeconfig", "destination", "record_namespace", "ca_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineCall(Ask):
    """The options of one call, as the command line gives them."""

    since: str | None = None
    image: str | None = None
    tags: tuple[str, ...] = ()
    timeout: float = 600.0
    output_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """Targets that become something else than they are; those that left Git are `gone`."""

    targets: tuple[Target, ...]
    gone: tuple[Target, ...] = ()


def generate(run: Run, call: PipelineCall) -> Result:
    """Write the child pipeline. A target that does not render has a job too, which says why."""
    if call.output_file:
        must_be_writable(run.cwd / call.output_file)
    with Workplaces(run, call.reach) as places:
        place, environment = declared_at(places, call)
        targets = place.settings.targets([environment.name], call.apps, paths=place.tree.files())
        if call.since:
            found = Changed(*changed_since(places, place, environment, call, call.since))
        else:
            found = _new_there(run, call, place, environment, targets)
        spread = _spread(run, call, place, environment, found)
    document = child_pipeline(spread)
    text = yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True)
    if call.output_file:
        write_text(run.cwd / call.output_file, text)
        text = f"{call.output_file}: {counted(len(found.targets), 'job')} for {len(targets)} of {environment.name}"
    return Result("Pipeline", _document(spread, found, document), text.rstrip("\n"))


def _new_there(
    run: Run, call: PipelineCall, place: Workplace, environment: EnvironmentSettings, targets: Sequence[Target]
) -> Changed:
    """Those whose rendered set is another than that of their last deployment that succeeded, as `deploy` sees it."""
    with Destinations(run, call, place, environment, call.timeout) as destinations:
        rendered = RenderedSets(run, place, destinations.of, fresh=call.no_cache).of(targets)
        declared = {target: each for target, each in rendered.items() if not isinstance(each, CiGitopsError)}
        commit = place.repository.log(place.revision, 1)[0]
        sites = sites_of(
            destinations, declared, Deadline.after(call.timeout), commit,
            create_namespace=environment.create_namespace, with_gone=not call.apps and len(declared) == len(targets),
        )  # fmt: skip
        same = set(_unchanged(sites))
        gone = tuple(target for site in sites for target in site.gone)
    return Changed(tuple(target for target in targets if target not in same), gone)


def _unchanged(sites: Iterable[Site]) -> Iterable[Target]:
    for site in sites:
        for target in site.targets:
            view = site.view(target)
            if not view.gone and not is_new(view.records, view.prepared.rendered):
                yield target


def _spread(
    run: Run, call: PipelineCall, place: Workplace, environment: EnvironmentSettings, found: Changed
) -> Spread:  # fmt: skip
    given = {f"CI_GITOPS_DEPLOY_{name.upper()}": getattr(call, name) for name in _HANDED_ON}
    known = f"$CI_REGISTRY/ci-gitops/ci-gitops:{__version__}"
    return Spread(
        environment=environment.name,
        revision=place.revision,
        apps=[target.app for target in found.targets],
        gone=bool(found.gone),
        after={name: app.after for name, app in place.settings.apps.items()},
        image=call.image or run.environ.get("CI_JOB_IMAGE") or known,
        tags=call.tags,
        variables={name: str(value) for name, value in given.items() if value},
    )


def _document(spread: Spread, found: Changed, pipeline: dict[str, Any]) -> dict[str, Any]:
    return {
        "environment": spread.environment,
        "revision": spread.revision,
        "targets": [{"app": target.app, "environment": target.environment} for target in found.targets],
        "gone": [target.app for target in found.gone],
        "pipeline": pipeline,
    }
