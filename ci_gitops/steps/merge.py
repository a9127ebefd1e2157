"""The story of `merge`: which merge requests are ours, which gates hold, what was merged and what waits for what."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.gates import GATES, GateState
from ci_gitops.core.mergerequests import MergeRequest, overlaps
from ci_gitops.core.text import did_you_mean
from ci_gitops.errors import CiGitopsError, UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps import people
from ci_gitops.steps.merge_report import ended
from ci_gitops.steps.merging import MergePolicy, Merger, Patience, Verdict, gives_way, settle
from ci_gitops.steps.queueing import Behind, behind, follow
from ci_gitops.steps.rebasing import renew
from ci_gitops.steps.scope import Asked, Scope, Shop
from ci_gitops.steps.workplace import Workplaces

_RENEWALS = 5  # how often a branch is made anew while others are merged
_WAIT = 600.0  # seconds; how long --wait waits where --timeout says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeAsk(Asked):
    """The options of one call, as the command line gives them."""

    wait: bool = False
    timeout: float | None = None
    overrides: tuple[str, ...] = ()
    reason: str | None = None
    approve: bool = False
    dry_run: bool = False


def merge(run: Run, ask: MergeAsk) -> Result:
    """Merge what is ready; the errors that say otherwise carry the result."""
    overrides = _overrides(ask)
    with Workplaces(run, ask.reach) as places:
        story = _Story(places, ask, overrides)
        if ask.approve:
            story.approve()
        patience = Patience((ask.timeout or _WAIT) if ask.wait else 0.0, progress=run.output.step)
        verdicts = settle(story.look, patience)
        waiting = () if ask.dry_run else story.behind()
    follow(run, ask, waiting)
    return ended(verdicts, waited=ask.wait, environments=ask.environments)


def _overrides(ask: MergeAsk) -> Mapping[str, str]:
    if bool(ask.overrides) != bool(ask.reason and ask.reason.strip()):
        missing = "--reason TEXT" if ask.overrides else "--override GATE"
        raise UsageError(f"{missing} is missing.", hint="A gate is overridden by `--override GATE --reason TEXT`.")
    for gate in ask.overrides:
        if gate == "hold":
            raise UsageError(
                "A hold is not overridden.", hint="Lift it: `ci-gitops release --environment ENV --reason TEXT`."
            )
        if gate not in GATES:
            raise UsageError(f"There is no gate {gate!r}.", hint=did_you_mean(gate, GATES, "Gates"))
    return dict.fromkeys(ask.overrides, ask.reason or "")


class _Story:
    """The places and forges of one call, looked at as often as it takes."""

    def __init__(self, places: Workplaces, ask: MergeAsk, overrides: Mapping[str, str]) -> None:
        self._places = places
        self._run = places.run
        self._ask = ask
        self._overrides = overrides
        self._scope = Scope(places, ask)
        self._final: dict[tuple[str, int], Verdict] = {}
        self._notes: dict[tuple[str, int], tuple[str, ...]] = {}

    def approve(self) -> None:
        """Approve what is chosen, each at the head that it has now."""
        if not self._ask.numbers and not self._ask.environments:
            raise UsageError(
                "--approve needs to know what is approved.", hint="Name it: --mr IID or --environment ENV."
            )
        for shop in self._scope.shops:
            for request in self._scope.chosen(shop):
                if request.state != "open":
                    continue
                what = f"!{request.iid} at {request.head_sha[:12]} as {shop.forge.whoami().login}"
                if self._ask.dry_run:
                    self._run.output.note(f"Would approve {what}; gates below are without that.")
                else:
                    shop.forge.approve(request.iid, request.head_sha)
                    self._run.output.note(f"Approved {what}.")

    def look(self) -> Sequence[Verdict]:
        """Judge, and where it is ready merge, each merge request that is not settled yet."""
        for shop in self._scope.shops:
            if self._final:
                self._scope.look_again(shop)
            requests = self._still_open(shop)
            later = {one.later.iid: gives_way(one) for one in overlaps(requests)}
            for request in requests:
                way = later.get(request.iid)
                self._final[shop.place.url, request.iid] = (
                    Verdict(request, "waiting", (way,), way.reason) if way else self._judge(shop, request)
                )
        self._scope.all_found({iid for _, iid in self._final})
        return [replace(self._final[key], notes=self._notes.get(key, ())) for key in sorted(self._final)]

    def behind(self) -> tuple[Behind, ...]:
        """What waited behind those that were merged now."""
        done = [(url, verdict.request) for (url, _), verdict in self._final.items() if verdict.state == "merged"]
        shops = {shop.place.url: shop for shop in self._scope.shops}
        return tuple(
            each for url, request in done for each in behind(shops[url].forge, shops[url].place.settings, request)
        )

    def _still_open(self, shop: Shop) -> list[MergeRequest]:
        """What is chosen, and what was waiting when it was last looked at, although others have closed it since."""
        known = {iid: verdict for (url, iid), verdict in self._final.items() if url == shop.place.url}
        chosen = {one.iid: one for one in self._scope.chosen(shop) if one.iid not in known or known[one.iid].waits}
        gone = [iid for iid, verdict in known.items() if verdict.waits and iid not in chosen]
        return [*chosen.values(), *(shop.forge.get(iid) for iid in gone)]

    def _judge(self, shop: Shop, request: MergeRequest) -> Verdict:
        """One merge request's verdict; its failure does not keep the others from being merged."""
        self._run.output.detail(f"Looking at !{request.iid} {request.title}")
        try:
            written = shop.written(request, self._scope.named)
            if not written:
                return Verdict(request, "refused", reason="it names no environment, so nobody knows its gates")
            if stranger := self._of_nobody_asked(shop, request, written):
                return _left_to(f"it holds {stranger}, and no approval is asked for; name it by --mr {request.iid}",
                                request)  # fmt: skip
            unasked = self._unasked(shop, request, written)
            if not unasked:
                return self._merged(shop, request, written)
            if set(unasked) & set(written):
                return _left_to(_manual(request, unasked), request)
            looked = replace(self._merger(shop), dry_run=True)
            verdict = looked.merge(request, lambda current: self._policy(shop, current, written))
            return _left_to(_manual(request, unasked), request) if verdict.state == "ready" else verdict
        except CiGitopsError as error:
            return _failed(shop.forge, request, error)

    def _merged(self, shop: Shop, request: MergeRequest, written: Sequence[str]) -> Verdict:
        """Merged, where need be on a branch that is made anew: others have been merged meanwhile."""
        merger = self._merger(shop)
        verdict = merger.merge(request, lambda current: self._policy(shop, current, written))
        for _ in range(_RENEWALS):
            if not verdict.behind:
                return verdict
            renewal = renew(shop.place, verdict.request, people.author(self._run))
            if renewal == "stays":
                return verdict
            if renewal == "made":
                self._run.output.note(f"Made the branch of !{request.iid} anew on top of {shop.place.branch}.")
            self._scope.look_again(shop)
            verdict = self._merger(shop).merge(request, lambda current: self._policy(shop, current, written))
        return replace(verdict, state="waiting") if verdict.behind else verdict

    def _merger(self, shop: Shop) -> Merger:
        return Merger(shop.forge, self._overrides, self._ask.dry_run, bench=shop.bench)

    def _policy(self, shop: Shop, request: MergeRequest, written: Sequence[str]) -> MergePolicy:
        """The rules of all environments that it writes to; what is to be known of them is kept for the result."""
        found = self._scope.ruled(shop, request, written)
        self._notes[shop.place.url, request.iid] = found.notes
        return found.policy

    def _unasked(self, shop: Shop, request: MergeRequest, written: Sequence[str]) -> tuple[str, ...]:
        """The environments that it changes, that people merge, and that nobody has asked for by naming it or them."""
        if self._ask.numbers or request.armed_sha or request.state != "open" or not request.head_sha:
            return ()
        changed = self._scope.ruled(shop, request, written).environments
        if set(written) & set(self._scope.named):
            changed = tuple(name for name in changed if name not in written)
        environments = [shop.place.settings.environment(name) for name in changed if name not in self._scope.named]
        # Nobody has set `merge` of what is pushed without any merge request; one that was opened for it is a person's.
        return tuple(one.name for one in environments
                     if one.merged_by_people or (one.name in written and one.merge == "manual"))  # fmt: skip

    def _of_nobody_asked(self, shop: Shop, request: MergeRequest, written: Sequence[str]) -> str | None:
        """A person's commit that would be merged although nobody has agreed to it: whoever may push a branch may name
        it as ours are, and our account may merge what that person may not.
        """
        if self._ask.numbers or not shop.forge.has_accounts or request.armed_sha:
            return None
        if request.state != "open" or not request.head_sha:
            return None
        theirs = self._scope.of_people(shop.place, request)
        agreed = any(rules.approvals.count for rules in self._scope.ruled(shop, request, written).policy.gates)
        return theirs[0] if theirs and not agreed else None


def _manual(request: MergeRequest, unasked: Sequence[str]) -> str:
    return f"merge: manual; name it by --mr {request.iid} or --environment {unasked[0]}"


def _left_to(reason: str, request: MergeRequest) -> Verdict:
    """To people: it waits for one who will not come while this call waits, so it is not one to wait for."""
    return Verdict(request, "manual", (GateState("manual", False, reason),), reason)


def _failed(forge: Forge, request: MergeRequest, error: CiGitopsError) -> Verdict:
    """What stopped us may be that another process merged it at the same moment, and its branch is gone."""
    with contextlib.suppress(CiGitopsError):
        current = forge.get(request.iid)
        if current.state == "merged":
            return Verdict(current, "already", reason="it is merged")
    return Verdict(request, "failed", reason=error.message, error=error)
