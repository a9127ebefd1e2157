"""The story of `diff`: what a deploy would do, or what changes between two revisions; for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.handover import must_be_writable, write_document, write_text
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.plan import API_VERSION, LIVE, PlanList
from ci_gitops.core.plan_reports import junit, terraform
from ci_gitops.core.pruning import Belts
from ci_gitops.core.secret_values import Placeholders
from ci_gitops.core.targets import Target
from ci_gitops.errors import CiGitopsError, decisive
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask, declared_at
from ci_gitops.steps.destinations import Destinations, preload
from ci_gitops.steps.diff_report import Found, Shown, diff_text
from ci_gitops.steps.looking import Looking, Outlook, bounds_of, doubt_of, own_plan_key, prunes, sites_of
from ci_gitops.steps.rendered import RenderedSets
from ci_gitops.steps.revisions import between_revisions
from ci_gitops.steps.workplace import Workplace, Workplaces

_REPORTS = {"terraform": terraform, "junit": junit}


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffCall(Ask):
    """The options of one call, as the command line gives them."""

    against: str = LIVE
    prune: bool | None = None
    prune_limit: int | None = None
    prune_kinds: tuple[str, ...] = ()
    take_over: bool = False
    recreate: tuple[str, ...] = ()
    exit_code: bool = False
    plan_out: Path | None = None
    reports: Mapping[str, Path]
    note: bool = False
    merge_request: int | None = None
    forge: str | None = None
    forge_url: str | None = None
    timeout: float = 600.0


def diff(run: Run, call: DiffCall) -> Result:
    """Plan, show, and write the plan where the call says; the error that decides carries the result."""
    for path in (*call.reports.values(), *([call.plan_out] if call.plan_out else [])):
        must_be_writable(path)
    if call.against == LIVE:
        preload(run, call)
    with Workplaces(run, call.reach) as places:
        place, environment = declared_at(places, call)
        if call.against == LIVE:
            found = against_live(run, call, place, environment)
        else:
            found = between_revisions(places, place, environment, call, call.against)
        shown = diff_text(found.plans, found.shown, found.hidden, where=found.where)
        text = "\n\n".join([*(f"Note: {warning}" for warning in place.warnings), shown])
        _hand_over(call, found.plans)
        if call.note:
            _post_note(places, place, found.plans, text, call)
    result = Result("PlanList", found.plans.document, text, 3 if call.exit_code and not found.plans.is_empty else 0)
    if found.troubles:
        raise _decisive(found.troubles, result)
    return result


def against_live(run: Run, call: DiffCall, place: Workplace, environment: EnvironmentSettings) -> Found:
    with Destinations(run, call, place, environment, call.timeout) as destinations:
        targets = place.settings.targets([environment.name], call.apps, paths=place.tree.files())
        sets = RenderedSets(run, place, destinations.of, fresh=call.no_cache)
        rendered = sets.of(targets)
        troubles: list[CiGitopsError] = [each for each in rendered.values() if isinstance(each, CiGitopsError)]
        declared = {target: each for target, each in rendered.items() if not isinstance(each, CiGitopsError)}
        doubt = doubt_of(target for target in targets if target not in declared)
        looking = Looking(
            sets, place.settings, bounds_of(place, environment), prunes(environment, call.prune),
            Belts(kinds=frozenset(call.prune_kinds), limit=call.prune_limit), doubt,
        )  # fmt: skip
        outlooks, hidden, broken = _outlooks(
            call, place, environment, destinations, declared, looking, whole=not troubles
        )
        where = "against " + ", ".join(sorted({str(destinations.of(target)) for target in declared}))
    troubles += broken
    for outlook in outlooks:
        troubles += [*([outlook.refusal] if outlook.refusal else ()), *outlook.planned.troubles]
    plans = tuple(
        replace(outlook.planned.plan, notes=(*place.warnings, *outlook.planned.plan.notes)) for outlook in outlooks
    )
    source = place.settings.name or place.url
    return Found(
        PlanList(environment.name, place.revision, plans, source),
        tuple(Shown(outlook.planned.plan, outlook.planned.compared) for outlook in outlooks),
        hidden,
        tuple(troubles),
        where,
    )


def _outlooks(
    call: DiffCall, place: Workplace, environment: EnvironmentSettings, destinations: Destinations,
    declared: Mapping[Target, Sequence[Manifest]], looking: Looking, *, whole: bool,
) -> tuple[list[Outlook], Placeholders, list[CiGitopsError]]:  # fmt: skip
    """Every target as a deploy would find it, and why some cannot be looked at."""
    commit = place.repository.log(place.revision, 1)[0]
    sites = sites_of(
        destinations, declared, Deadline.after(call.timeout), commit,
        create_namespace=environment.create_namespace, with_gone=whole and not call.apps,
    )  # fmt: skip
    hidden = Placeholders()
    found = []
    for site in sites:
        site.placeholders = hidden
        terms = site.terms(
            try_new=True, take_over=call.take_over, recreate=call.recreate, plan_key=own_plan_key(destinations.run)
        )
        for target in site.targets:
            destinations.run.output.step(f"Comparing {target}")
            view = site.view(target)
            found.append(looking.at(site, view, terms(view)))
    return found, hidden, [error for site in sites for error in site.broken.values()]


def _post_note(places: Workplaces, place: Workplace, plans: PlanList, text: str, call: DiffCall) -> None:
    from ci_gitops.steps.plan_note import NoteAsk, post_note  # here, since most calls need no forge

    ask = NoteAsk(
        repo=call.repo, apps=call.apps, merge_request=call.merge_request, forge=call.forge, forge_url=call.forge_url
    )
    post_note(places, place, plans, text, ask)


def _hand_over(call: DiffCall, plans: PlanList) -> None:
    """The files that the call names."""
    if call.plan_out:
        write_document(call.plan_out, {"apiVersion": API_VERSION, "kind": "PlanList", **plans.document})
    for name, path in call.reports.items():
        write_text(path, _REPORTS[name](plans))


def _decisive(troubles: Sequence[CiGitopsError], result: Result) -> CiGitopsError:
    """The error that makes the exit code; the plan has the others."""
    first = decisive(troubles)
    if len(troubles) > 1:
        first.message += f" (and {len(troubles) - 1} more, see above)"
    first.result = result
    return first
