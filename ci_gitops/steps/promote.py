"""The story of `promote`: what runs well in one environment, written into the files of the next.

It goes the road of `update`: the same writer, the same holds, the same merge requests. What differs is where the
versions come from: from what was really deployed, never from a branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

from ci_gitops.adapters.handover import must_be_writable
from ci_gitops.core.images import ImageRef
from ci_gitops.core.intents import Intent
from ci_gitops.core.promotion import Candidate, Side, candidate, left_behind, not_deployed, unknown_images, with_groups
from ci_gitops.core.running import Running
from ci_gitops.core.targets import Target
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.update_values import chart_versions
from ci_gitops.errors import CiGitopsError, EditError, GitError, RefusedError, UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.held import holds_at
from ci_gitops.steps.promote_report import Left, promotion_result
from ci_gitops.steps.promotion_text import PromotionText
from ci_gitops.steps.proof import prove
from ci_gitops.steps.queueing import announce
from ci_gitops.steps.running import running_in
from ci_gitops.steps.targets import targets_of
from ci_gitops.steps.update_call import UpdateCall
from ci_gitops.steps.update_jobs import Task, hand_of, jobs_of, write_each
from ci_gitops.steps.workplace import Reach, RepositoryTree, Workplace, Workplaces

_SECONDS = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteCall(UpdateCall):
    """The options of one call, as the command line gives them. Where records are is said of the source."""

    to: str
    source: str | None = None
    only: tuple[str, ...] = ()
    context: str | None = None
    kubeconfig: Path | None = None
    destination: str | None = None
    record_namespace: str | None = None
    diff_out: Path | None = None

    @property
    def ask(self) -> Ask:
        return Ask(
            environment=self.source, apps=self.apps, repo=self.repo, branch=self.branch, context=self.context,
            kubeconfig=self.kubeconfig, destination=self.destination, record_namespace=self.record_namespace,
            token_file=self.token_file, ca_file=self.ca_file,
        )  # fmt: skip

    @property
    def base(self) -> UpdateCall:
        return UpdateCall(**{each.name: getattr(self, each.name) for each in fields(UpdateCall)})


@dataclass(frozen=True)
class _End:
    """One of the two environments."""

    place: Workplace
    environment: EnvironmentSettings

    @property
    def name(self) -> str:
        return self.environment.name

    @cached_property
    def targets(self) -> Mapping[str, Target]:
        paths = self.place.tree.files()
        return {target.app: target for target in self.place.settings.targets([self.name], paths=paths)}

    def side(self, app: str, revision: str | None = None) -> Side:
        """The app's files; `revision` is where the branch's head is not meant."""
        repository, tree = self.place.repository, self.place.tree
        if revision and revision != self.place.revision:
            tree = RepositoryTree(repository, repository.fetch(revision))
        return Side(tree, targets_of(self.place, self.name, [app])[0])


def promote(run: Run, call: PromoteCall) -> Result:
    """Find what is to go, prove that it is there, and write it in one commit."""
    reach = Reach(call.repo, call.branch, call.ca_file, call.token_file, call.timeout or _SECONDS)
    with Workplaces(run, reach) as places:
        return _Promotion(run, call, places).result()


class _Promotion:
    """One call."""

    def __init__(self, run: Run, call: PromoteCall, places: Workplaces) -> None:
        self._run, self._call, self._places = run, call, places
        self._root = places.root()
        self._target = self._end(call.to)
        self._source = self._end(_from(call, self._target.environment))
        settings = self._target.place.settings
        self._groups = {name: app.group for name, app in settings.apps.items() if app.group}
        self._left: dict[str, Left] = {}  # apps that stay, and why
        self._notes: list[str] = []
        if self._diff_out:
            must_be_writable(self._diff_out)

    def result(self) -> Result:
        run, source, target = self._run, self._source, self._target
        apps = self._apps()
        run.output.step(f"Looking at what runs in {source.name}")
        running = running_in(self._places, source.place, source.environment, apps, ask=self._call.ask)
        candidates = self._together(self._candidates(self._well(running)))
        if hint := unknown_images(self._call.only, candidates, running):
            raise UsageError(
                f"{source.name} brings no image {' or '.join(self._call.only)} to {target.name}.", hint=hint
            )
        proved = self._proved(candidates)
        return self._written(proved)

    @property
    def _diff_out(self) -> Path | None:
        return self._run.cwd / self._call.diff_out if self._call.diff_out else None

    def _end(self, name: str) -> _End:
        place = self._places.of(self._root.settings.environment(name), self._root)
        return _End(place, place.settings.environment(name))

    # Which apps

    def _apps(self) -> tuple[str, ...]:
        """Those of the call with their groups, else all that both environments have."""
        there, here = self._source.targets, self._target.targets
        known = {**there, **here}
        for app in self._call.apps:
            if app not in known:
                raise UsageError(
                    f"There is no app {app!r} in {self._source.name} or {self._target.name}.",
                    hint=did_you_mean(app, known, "Apps"),
                )
            if app not in there or app not in here:
                raise UsageError(
                    f"{app} is only in {(self._source if app in there else self._target).name}, not in "
                    f"{(self._target if app in there else self._source).name}: there is nothing to promote.",
                    hint=f"Add its files for the other environment ({self._path(app)}) first.",
                )
        named = tuple(dict.fromkeys(self._call.apps)) or tuple(known)
        apps = with_groups(named, {app: group for app, group in self._groups.items() if app in known})
        for app in apps:
            if app not in there or app not in here:
                only = self._source.name if app in there else self._target.name
                self._left[app] = Left(app, f"it is only in {only}", alone=True)
            elif app not in named:
                self._notes.append(f"{app} moves along: its group {self._groups[app]} moves together")
        return tuple(app for app in apps if app not in self._left)

    def _path(self, app: str) -> str:
        return self._target.place.settings.app(app).path

    # What runs

    def _well(self, running: Sequence[Running]) -> list[Running]:
        """Those that are healthy, without those that stay for the sake of one of their group."""
        ill = [each for each in running if not each.healthy]
        for each in ill:
            self._left[each.target.app] = Left(each.target.app, each.reason)
        well = self._without_halves([each.target.app for each in ill], [e.target.app for e in running if e.healthy])
        named = next((each for each in ill if each.target.app in self._call.apps), None)
        if ill and (named or not well):
            raise self._not_well(named or ill[0])
        return [each for each in running if each.target.app in well]

    def _not_well(self, running: Running) -> RefusedError:
        name, app = running.target.environment, running.target.app
        where = f"--environment {name} --app {app}"
        if not running.deployed:
            return RefusedError(
                f"Nothing can be promoted of {running.target}: {running.reason}",
                hint=f"`ci-gitops deploy {where}` deploys it; `ci-gitops history {where}` lists what was deployed.",
            )
        if running.unwaited:
            return RefusedError(
                f"It is not known whether {running.target} is healthy, so it is not promoted to {self._target.name}: "
                f"{running.reason}",
                hint=f"`ci-gitops deploy {where}` (without --no-wait) waits for it. For a folder (`dir:`) nobody can: "
                f"say `operator: external` of {name} if Git shall be believed.",
            )
        return RefusedError(
            f"{running.target} is not healthy, so it is not promoted to {self._target.name}: {running.reason}",
            hint=f"`ci-gitops why {where}` explains it. Mend it there, or go back by `ci-gitops rollback {where}`.",
        )

    def _without_halves(self, stuck: Iterable[str], apps: Sequence[str]) -> list[str]:
        """A group moves as a whole or not at all."""
        behind = left_behind(stuck, apps, self._groups)
        for app, other in behind.items():
            self._left[app] = Left(app, f"its group {self._groups[app]} moves together, and {other} stays")
        return [app for app in apps if app not in behind]

    # What they bring

    def _candidates(self, running: Sequence[Running]) -> list[Candidate]:
        found = []
        for each in running:
            app = each.target.app
            try:
                found.append(self._candidate(each))
            except EditError as error:
                if app in self._call.apps or len(running) == 1:
                    raise
                self._left[app] = Left(app, error.message)
        return found

    def _candidate(self, running: Running) -> Candidate:
        app = running.target.app
        try:
            source = self._source.side(app, running.revision)
        except GitError as error:
            self._run.output.detail(f"{running.revision[:12]} is not to be had: {error.message}")
            source = self._source.side(app)
        target = self._target.side(app)
        made = candidate(running, source, target, self._call.only)
        waits = not_deployed(running, self._source.side(app))
        made = replace(made, notes=(*made.notes, *waits))
        return made if self._call.only else replace(made, charts=self._charts(source, target))

    def _charts(self, source: Side, target: Side) -> tuple[tuple[str, str], ...]:
        """The charts that are another version there. A chart that both environments share is nobody's to promote."""
        shared = (self._source.place.url, self._source.place.branch) == (
            self._target.place.url, self._target.place.branch
        )  # fmt: skip
        now = chart_versions(target.tree, target.files.target, shared=not shared, declared=not shared)
        then = chart_versions(source.tree, source.files.target, shared=not shared, declared=not shared) if now else {}
        return tuple((chart, then[chart]) for chart in now if then.get(chart, now[chart]) != now[chart])

    def _together(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Without those whose group is held back: the writer leaves out, and tells, what is held itself."""
        holds = holds_at(self._target.place, self._target.name)
        held = [
            each.app for each in candidates
            for hold in holds
            if any(hold.bars(each.app, version.name, str(version.image)) for version in each.versions if version.moves)
        ]  # fmt: skip
        stay = self._without_halves(held, [each.app for each in candidates])
        return [each for each in candidates if each.app in stay]

    def _proved(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """With the digests that the registry knows. What is there already is not asked for again."""
        asked: dict[tuple[str, ...], list[ImageRef]] = {}
        for each in candidates:
            policies = self._target.place.settings.app(each.app).policies
            for version in each.versions:
                if version.moves:
                    policy = policies.get(version.image.name) or policies.get(version.name)
                    asked.setdefault(policy.platforms if policy else (), []).append(version.image)
        found: dict[ImageRef, str] = {}
        for platforms, images in asked.items():
            # Whose signature they bear is asked by the writer, of what it really writes.
            unsigned = self._target.environment.model_copy(update={"verify": type(self._target.environment.verify)()})
            proofs = prove(self._run, images, unsigned, platforms=platforms, ca_file=self._call.ca_file,
                           rules=self._target.place.rules)  # fmt: skip
            found |= {
                image: proof.image.digest or "" for image, proof in zip(dict.fromkeys(images), proofs, strict=True)
            }
        return [
            replace(each, versions=tuple(
                version.pinned(found[version.image]) if version.moves and not version.image.digest else version
                for version in each.versions
            ))
            for each in candidates
        ]  # fmt: skip

    # What is written

    def _written(self, candidates: Sequence[Candidate]) -> Result:
        call, target = self._call, self._target
        intent = Intent(apps=tuple((each.app, each.intent) for each in candidates if each.intent))
        apps = tuple(app for app, _ in intent.apps)
        report = promotion_result(
            self._source.name, target.name, candidates, tuple(self._left.values()),
            tuple(self._notes) + tuple(note for each in candidates for note in each.notes),
        )  # fmt: skip
        if not intent:
            return report(None)
        named = call.only or call.apps  # who names an app means its images too, where one of them is held
        asked = replace(call.base, environments=(target.name,), images=named)
        hand = replace(hand_of(self._run, asked), source=None)  # it is no build: what ran before may go again
        jobs = jobs_of(self._places, self._root, replace(asked, apps=apps))
        tell = PromotionText(proof=tuple(each.running for each in candidates), diff_out=self._diff_out)
        try:
            result = write_each(self._places, [Task(job, intent, hand, tell) for job in jobs], asked)
            self._announce(result, candidates)
            return report(result)
        except CiGitopsError as error:
            error.result = report(error.result) if error.result else None
            raise

    def _announce(self, result: Result, candidates: Sequence[Candidate]) -> None:
        """Say on a merge request that is left as it is what is newer."""
        waits = [write["mergeRequest"]["iid"] for write in result.document["writes"] if write["outcome"] == "waiting"]
        if not waits or self._call.dry_run:
            return
        call, place = self._call, self._target.place
        forge = forge_for(self._run, place.repository, call.forge, url=call.forge_url, config=place.settings.config)
        for iid in waits:
            held = forge.get(iid).targets
            newer = [each for each in candidates if f"{self._target.name}/{each.app}" in held]
            announce(self._run, forge, iid, self._source.name, self._target.name, newer)


def _from(call: PromoteCall, target: EnvironmentSettings) -> str:
    source = call.source or target.from_
    if source is None:
        raise UsageError(
            f"{target.name} is the first environment: nothing says where promotions to it come from.",
            hint=f"Pass --from ENV, or set environments.{target.name}.from in .ci-gitops.yaml.",
        )
    if source == target.name:
        raise UsageError(f"{source} cannot be promoted to itself.", hint="Name two environments with --from and --to.")
    return source
