"""Writing by merge request: at most one open for each target, updated in place, never over a person's work.

State is the branch and the description, nothing else: a run that was killed anywhere is completed by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ci_gitops.adapters.forges.base import Forge, NewMergeRequest
from ci_gitops.adapters.git import CommitInfo, RefUpdate
from ci_gitops.core.mergerequest_text import Block, title_for
from ci_gitops.core.mergerequests import (
    Action,
    GiveWay,
    MergeRequest,
    Open,
    Update,
    Wait,
    Wanted,
    block_of,
    overlaps,
    plan_merge_requests,
)
from ci_gitops.core.rollbacks import subject
from ci_gitops.core.trailers import Trailers
from ci_gitops.core.updates import Intent, Plan, TargetFiles
from ci_gitops.errors import RefusedError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.authorship import is_ours, told_of
from ci_gitops.steps.landing import Landing
from ci_gitops.steps.merging import MergePolicy, Patience
from ci_gitops.steps.request_text import Draft, Tell, brief
from ci_gitops.steps.restoring import replayed
from ci_gitops.steps.workplace import RepositoryTree, Workplace, Workplaces
from ci_gitops.steps.write import Hand, Written, attempts, commit_plan, current_plan, overtaken, trailers_of

_CLOSE = "Merge that merge request first, or close it and delete its branch, then run this again."
_LEFT_OVER = "No merge request is open for it: delete that branch if the work is not needed, then run this again."


@dataclass(frozen=True, slots=True)
class RequestWriter:
    """One environment's merge requests onto one branch."""

    places: Workplaces
    forge: Forge
    environment: EnvironmentSettings
    policy: MergePolicy
    patience: Patience
    hand: Hand
    tell: Tell = brief

    def write(self, place: Workplace, targets: Sequence[TargetFiles], intent: Intent) -> list[Written]:
        """Bring `intent` into merge requests onto the branch of `place`, and merge them as the rule says."""
        for attempt in attempts(self.hand, self.places.run.output, place.branch):
            if attempt > 1:
                place = self.places.refreshed(place)
            done = self._try(place, targets, intent, attempt)
            if done is not None:
                landing = Landing(self.places, self.forge, self.environment, self.policy, self.patience)
                return [landing.merged(place, written) for written in done]
        raise AssertionError("attempts end by an error")  # pragma: no cover

    def _try(
        self, place: Workplace, targets: Sequence[TargetFiles], intent: Intent, attempt: int
    ) -> list[Written] | None:
        """One round on what is true now; None where another process was faster."""
        plan, notes = current_plan(place, targets, intent, self.hand, self._merged_blocks(place))
        requests = self.forge.find(target=place.branch)
        ways = self._overlaps(requests)
        if ways and not self.hand.dry_run:
            if not all(self._give_way(place, way) for way in ways):
                return None
            requests = self.forge.find(target=place.branch)
        held = {target for one in requests for target in one.targets}
        moved = {f"{target.environment}/{target.app}" for target in plan.moved_targets}
        concerned = {f"{target.environment}/{target.app}": target.app for target in plan.targets}
        apps = tuple(app for name, app in concerned.items() if name in moved or name in held)
        unchanged = self._written(place, "unchanged", plan=plan, attempts=attempt, notes=notes, held=plan.held)
        if not apps:
            return [unchanged]
        groups = {name: app.group for name, app in place.settings.apps.items() if app.group}
        wanted = Wanted(self.environment.name, place.branch, apps, groups, self.environment.supersede)
        done: list[Written] = []
        for action in plan_merge_requests(requests, [wanted]):
            chosen = [files for files in targets if files.target.app in action.apps]
            written = self._act(place, action, chosen, intent)
            if written is None:
                return None
            told = () if done else plan.held
            done.append(replace(written, attempts=attempt, notes=(*notes, *written.notes), held=told))
        if any(written.outcome == "opened" for written in done) and self._overlaps(
            self.forge.find(target=place.branch)
        ):
            return None  # another run has opened one for the same target meanwhile: the next round settles it
        return done

    def _merged_blocks(self, place: Workplace) -> Callable[[], Mapping[str, Sequence[Trailers]]]:
        """What our merged merge requests held, by the commit that brought it; asked for when it is needed."""

        def blocks() -> Mapping[str, Sequence[Trailers]]:
            found = self.forge.find(target=place.branch, state="merged")
            return {one.merge_sha: one.block.commits for one in found if one.merge_sha and one.block}

        return blocks

    def _act(self, place: Workplace, action: Action, targets: Sequence[TargetFiles], intent: Intent) -> Written | None:
        if isinstance(action, Wait):
            return self._waits(place, action, targets, intent)
        if isinstance(action, Open):
            return self._open(place, action, targets, intent)
        return self._update(place, action, targets, intent)

    def _waits(self, place: Workplace, action: Wait, targets: Sequence[TargetFiles], intent: Intent) -> Written:
        """Left as it is; where the open one holds just this, nothing waits."""
        request = action.request
        plan, notes = current_plan(
            self._on_branch(place, place.repository.fetch(request.source)), targets, intent, self.hand,
            self._merged_blocks(place),
        )  # fmt: skip
        if not plan.changed:
            return self._written(place, "unchanged", merge_request=request, plan=plan, notes=notes)
        return self._written(place, "waiting", merge_request=request, notes=(*notes, action.reason))

    def _on_branch(self, place: Workplace, head: str) -> Workplace:
        """A branch onto `place`, under the rules of that."""
        return replace(place, revision=head, tree=RepositoryTree(place.repository, head), policy=place.rules)

    def _open(self, place: Workplace, action: Open, targets: Sequence[TargetFiles], intent: Intent) -> Written | None:
        plan, notes = current_plan(place, targets, intent, self.hand, self._merged_blocks(place))
        if not plan.changed:
            return self._written(place, "unchanged", plan=plan, notes=notes)
        if self.hand.check:
            self.hand.check(place, plan)
        if self.hand.dry_run:
            return self._written(
                place, "planned", merge_request=self._proposed(place, action, plan), plan=plan, notes=notes
            )
        new = self._new(place, action, plan)
        pushed = self._push_new(place, new, plan)
        if pushed is None:
            return None
        commit, said = pushed
        request = self.forge.open(replace(new, said=said))
        # An open one may have been adopted, whose text is of another time.
        request = self._described(place, request, place.repository.only_in(commit, place.revision))
        return self._written(place, "opened", commit=commit, merge_request=request, plan=plan, notes=notes)

    def _new(self, place: Workplace, action: Open, plan: Plan, tell: Tell = brief, head: str = "") -> NewMergeRequest:
        block = Block().updated(trailers_of(plan, self.hand))
        environment = self.environment
        return NewMergeRequest(
            source=action.branch,
            target=place.branch,
            title=title_for(environment.name, block),
            description=self._draft(place, block, head).described(tell),
            labels=environment.labels,
            reviewers=environment.reviewers,
            assignees=environment.assignees,
            squash=environment.squash,
            remove_source_branch=environment.remove_source_branch,
        )

    def _proposed(self, place: Workplace, action: Open, plan: Plan) -> MergeRequest:
        """What would be opened."""
        new = self._new(place, action, plan, self.tell, self._unsigned(place, plan))
        return MergeRequest(0, new.source, new.target, new.title, new.description, labels=new.labels)

    def _unsigned(self, place: Workplace, plan: Plan) -> str:
        """The commit of a plan, made here to be looked at."""
        return commit_plan(place, plan, replace(self.hand, sign=None), self.environment.commit.subject)

    def _draft(self, place: Workplace, block: Block, head: str = "", request: MergeRequest | None = None) -> Draft:
        return Draft(
            places=self.places, place=place, environment=self.environment, policy=self.policy, forge=self.forge,
            block=block, head=head, request=request,
        )  # fmt: skip

    def _push_new(self, place: Workplace, new: NewMergeRequest, plan: Plan) -> tuple[str, tuple[str, ...]] | None:
        """Push a branch that no open merge request has: it may be left over from one that was closed or cut off.

        Its new head, and what the server said.
        """
        repository, branch = place.repository, new.source
        ref = f"refs/heads/{branch}"
        left = repository.remote_refs(ref).get(ref, "")
        if left:
            repository.fetch(branch)
            own = repository.only_in(left, place.revision)
            self._no_person(place, own, branch, _LEFT_OVER)
            if self._same(place, left, own, plan):
                return left, ()
        commit = commit_plan(place, plan, self.hand, self.environment.commit.subject)
        pushed = repository.push([RefUpdate(ref, commit, left)], options=self.forge.push_options(new))
        return (commit, pushed.messages) if pushed.landed else None

    def _same(self, place: Workplace, left: str, own: Sequence[CommitInfo], plan: Plan) -> bool:
        """Is the left-over branch exactly what would be pushed? Then a run was cut off before it could say so."""
        if len(own) != 1 or own[0].parents != (place.revision,):
            return False
        if any(place.repository.whole(left, [path]).get(path) != file for path, file in plan.whole.items()):
            return False
        there = RepositoryTree(place.repository, left).read([edit.path for edit in plan.edits])
        return all(there.get(edit.path) == edit.new for edit in plan.edits if edit.path not in plan.whole)

    def _update(
        self, place: Workplace, action: Update, targets: Sequence[TargetFiles], intent: Intent
    ) -> Written | None:
        request = action.request
        head = place.repository.fetch(request.source)
        own = place.repository.only_in(head, place.revision)
        self._no_person(place, own, request.source)
        on_branch = self._on_branch(place, head)
        plan, notes = current_plan(on_branch, targets, intent, self.hand, self._merged_blocks(place))
        commit: str | None = None
        if plan.changed or self._is_stale(place, head, targets, intent):
            if self.hand.check:
                self.hand.check(on_branch, plan)
            if self.hand.dry_run:
                planned = self._as_planned(place, on_branch, request, own, plan)
                return self._written(place, "planned", merge_request=planned, plan=plan, notes=notes)
            # A way back stands alone where it can: what it takes back does not count for its gates.
            if own and (own[-1].parents[:1] != (place.revision,) or self.hand.back_to):
                # What this call writes anyway is not replayed: the target may have it by now.
                others = block_of(own).before(trailers_of(plan, self.hand))
                if self.hand.back_to:
                    fresh, _ = current_plan(place, targets, intent, self.hand)
                    others = others.before(trailers_of(fresh, self.hand))
                on_branch = self._replayed(place, others)
                plan, notes = current_plan(on_branch, targets, intent, self.hand, self._merged_blocks(place))
            commit = on_branch.revision
            if plan.changed:
                commit = commit_plan(on_branch, plan, self.hand, self.environment.commit.subject)
            if commit == place.revision:
                notes = (*notes, f"!{request.iid} is closed: {place.branch} holds all of it already")
                request = self.forge.close(request.iid)
                self._remove_branch(place, request.source, head)
                return self._written(place, "unchanged", merge_request=request, plan=plan, notes=notes)
            if not place.repository.push([RefUpdate(f"refs/heads/{request.source}", commit, head)]).landed:
                return None
            own = place.repository.only_in(commit, place.revision)
        if not self.hand.dry_run:
            request = self._described(place, request, own)
        outcome = "updated" if commit else "unchanged"
        return self._written(place, outcome, commit=commit, merge_request=request, plan=plan, notes=notes)

    def _as_planned(
        self, place: Workplace, on_branch: Workplace, request: MergeRequest, own: Sequence[CommitInfo], plan: Plan
    ) -> MergeRequest:
        """The merge request as it would be after the plan."""
        block = block_of(own).updated(trailers_of(plan, self.hand))
        draft = self._draft(place, block, self._unsigned(on_branch, plan), request)
        title = _title(request, self.environment.name, block)
        return replace(request, title=title, description=draft.described(self.tell))

    def _is_stale(self, place: Workplace, head: str, targets: Sequence[TargetFiles], intent: Intent) -> bool:
        """Whether merging it would conflict, or keep what has come since of files that go back as a whole."""
        person = self.hand.author
        merged = place.repository.merge(place.revision, head, "", author=person, committer=person).sha
        if merged is None or not intent.files:
            return merged is None
        there = replace(place, revision=merged, tree=RepositoryTree(place.repository, merged), policy=place.rules)
        return current_plan(there, targets, intent, self.hand)[0].changed

    def _replayed(self, place: Workplace, block: Block) -> Workplace:
        """The commits of `block` made anew on top of `place`, each with the build that it came from.

        What a newer build has written there meanwhile stays.
        """
        for trailers in block.commits:
            late = overtaken(place, trailers, self._merged_blocks(place))
            images = tuple(move for move in trailers.images if (move.target, move.name) not in late)
            trailers = replace(trailers, images=images)
            plan = replayed(place, self.environment.name, trailers, self.hand.now)
            if plan.changed:
                apps = " and ".join(sorted({move.app for move in trailers.moves}))
                back = trailers.back_to
                title = subject(apps, self.environment.name, back) if back else None
                hand = replace(self.hand, source=trailers.source, actor=trailers.actor, back_to=back, subject=title)
                commit = commit_plan(place, plan, hand, self.environment.commit.subject)
                place = replace(place, revision=commit, tree=RepositoryTree(place.repository, commit))
        return place

    def _described(self, place: Workplace, request: MergeRequest, own: Sequence[CommitInfo]) -> MergeRequest:
        """Keep title and block in step with the branch's commits; people's text and labels stay."""
        block = block_of(own)
        description = self._draft(place, block, own[0].sha if own else "", request).described(self.tell)
        title = _title(request, self.environment.name, block)
        missing = [label for label in self.environment.labels if label not in request.labels]
        if (description, title) == (request.description, request.title) and not missing:
            return request
        return self.forge.update(request.iid, title=title, description=description, add_labels=missing)

    def _give_way(self, place: Workplace, way: GiveWay) -> bool:
        """Move the edits of a merge request that overlaps an earlier one to that; False to look again."""
        block = way.later.block
        if block is None:
            return True
        heads = {one.source: place.repository.fetch(one.source) for one in (way.earlier, way.later)}
        for source, sha in heads.items():
            self._no_person(place, place.repository.only_in(sha, place.revision), source)
        head = heads[way.earlier.source]
        on_branch = self._on_branch(place, head)
        commit = self._replayed(on_branch, block.without(block.targets - set(way.targets))).revision
        if commit != head:
            pushed = place.repository.push([RefUpdate(f"refs/heads/{way.earlier.source}", commit, head)])
            if not pushed.landed:
                return False
            self._described(place, way.earlier, place.repository.only_in(commit, place.revision))
        if way.remains:
            return self._keep(place, way.later, block.without(way.targets))
        self.forge.close(way.later.iid, superseded_by=way.earlier.iid)
        self._remove_branch(place, way.later.source, heads[way.later.source])
        return True

    def _remove_branch(self, place: Workplace, branch: str, head: str) -> None:
        """Delete a branch of ours whose merge request is closed; what somebody has pushed meanwhile stays."""
        place.repository.push([RefUpdate(f"refs/heads/{branch}", "", head)])

    def _overlaps(self, requests: Sequence[MergeRequest]) -> list[GiveWay]:
        """Those of this environment: another one's are settled by who writes to that."""
        ours = f"{self.environment.name}/"
        return [way for way in overlaps(requests) if all(target.startswith(ours) for target in way.targets)]

    def _keep(self, place: Workplace, request: MergeRequest, rest: Block) -> bool:
        """Make the branch of `request` anew, with the moves of `rest` only; False to look again."""
        head = place.repository.fetch(request.source)
        self._no_person(place, place.repository.only_in(head, place.revision), request.source)
        commit = self._replayed(place, rest).revision
        if not place.repository.push([RefUpdate(f"refs/heads/{request.source}", commit, head)]).landed:
            return False
        self._described(place, request, place.repository.only_in(commit, place.revision))
        return True

    def _no_person(self, place: Workplace, own: Sequence[CommitInfo], branch: str, hint: str = _CLOSE) -> None:
        theirs = next((commit for commit in own if not is_ours(place, commit)), None)
        if theirs is None:
            return
        raise RefusedError(
            f"The branch {branch} holds {told_of(theirs)}, which is not ours; it is not written over.",
            hint=hint,
        )

    def _written(self, place: Workplace, outcome: str, **fields: object) -> Written:
        done = Written(place.url, place.branch, (self.environment.name,), outcome, place.revision)
        return replace(done, **fields)  # type: ignore[arg-type]


def _title(request: MergeRequest, environment: str, block: Block) -> str:
    """Our title follows the moves; one that a person wrote stays."""
    ours = request.block is not None and request.title == title_for(environment, request.block)
    return title_for(environment, block) if ours else request.title
