"""What runs in an environment: its records where it lives, else the forge's, else Git where somebody else deploys.

Which of them it was is always said; what cannot be read is refused with the setting that is missing, never taken from
the next place in silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ci_gitops.adapters.cluster.base import ApiError, Cluster
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.forges.base import Deployment, Forge
from ci_gitops.adapters.git import CommitInfo
from ci_gitops.adapters.records.base import Ledger
from ci_gitops.core.records import Record
from ci_gitops.core.running import Running, as_it_lives, from_records, nothing
from ci_gitops.core.target_images import images_in
from ci_gitops.core.targets import Target
from ci_gitops.core.trailers import split_trailers
from ci_gitops.errors import CiGitopsError, ClusterError, GitError, RefusedError, TemporaryError, UsageError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.destinations import Destinations
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.living import living
from ci_gitops.steps.targets import targets_of
from ci_gitops.steps.workplace import RepositoryTree, Workplace, Workplaces

_SECONDS = 100.0
_ENDED = ("success", "failed")
_HISTORY_STEPS = (0, 50, 250, 700)  # commits; 1,000 in all


def running_in(
    places: Workplaces, place: Workplace, environment: EnvironmentSettings, apps: Sequence[str] = (), *,
    ask: Ask | None = None, forge: Forge | None = None,
) -> tuple[Running, ...]:  # fmt: skip
    """What runs of each target that `place` declares; `ask` says where records are, where the call says so.

    RefusedError that names the missing setting where there is a destination whose records cannot be read.
    """
    asked = _asked(places, environment, ask)
    reading = _Reading(places, place, environment, targets_of_apps(place, environment, apps), forge)
    if not (_is_elsewhere(asked) or (environment.operator == "ci-gitops" and environment.destination)):
        return reading.from_forge() or reading.from_git()
    try:
        return _recorded(places, asked, place, environment, reading.targets)
    except (RefusedError, TemporaryError) as error:
        found = None if isinstance(error.__cause__, ApiError) else reading.from_forge()
        if found is None:
            raise
        places.note_once(f"{environment.name}: the forge's deployment records say what runs. {error.message}")
        return found


def targets_of_apps(place: Workplace, environment: EnvironmentSettings, apps: Sequence[str]) -> tuple[Target, ...]:
    return tuple(files.target for files in targets_of(place, environment.name, apps))


def records_of(
    places: Workplaces, ask: Ask, place: Workplace, environment: EnvironmentSettings
) -> Mapping[str, list[Record]]:
    """The deployment records of each app, newest first, as `history` lists them.

    RefusedError with what is missing where they cannot be read, TemporaryError where the cluster is away.
    """
    with _ledger(places, ask, place, environment) as (_, ledger):
        return _by_app(ledger)


def _recorded(
    places: Workplaces, ask: Ask, place: Workplace, environment: EnvironmentSettings, targets: Sequence[Target]
) -> tuple[Running, ...]:
    """By the records, and a look at what they speak of."""
    with _ledger(places, ask, place, environment) as (cluster, ledger):
        records = _by_app(ledger)
        found = [from_records(target, records.get(target.app, ())) for target in targets]
        still = [each.target for each in found if each.deployed and not each.moving]
        seen = living(places.run, cluster, ledger, still, environment.health)
    return tuple(
        as_it_lives(each, now.health, now.digests) if (now := seen.get(each.target)) else each for each in found
    )


def _by_app(ledger: Ledger) -> dict[str, list[Record]]:
    by_app: dict[str, list[Record]] = defaultdict(list)
    for record in ledger.records():
        by_app[record.target.app].append(record)
    return dict(by_app)


@contextmanager
def _ledger(
    places: Workplaces, ask: Ask, place: Workplace, environment: EnvironmentSettings
) -> Iterator[tuple[Cluster, Ledger]]:
    """Where the records are; its errors are told as what they mean for the question."""
    name = environment.name
    if not (environment.destination or _is_elsewhere(ask)):
        raise RefusedError(
            f"What runs in {name} is not known: the environment has no `destination`, where records would be.",
            hint=f"Set {environment.section}.destination in .ci-gitops.yaml, or pass --context or --destination.",
        )
    anything = Target("-", name, ".")
    try:
        with Destinations(places.run, ask, place, environment) as destinations:
            cluster = destinations.of(anything)
            yield cluster, destinations.ledger(cluster, Deadline.after(_SECONDS))
    except (UsageError, ClusterError) as error:
        raise RefusedError(
            f"What runs in {name} cannot be read: {error.message}",
            hint=error.hint or f"Look at {environment.section}.destination in .ci-gitops.yaml.",
        ) from error


def _asked(places: Workplaces, environment: EnvironmentSettings, ask: Ask | None) -> Ask:
    """Where the call says nothing, the environment's own destination, reached as the repositories are."""
    reach = places.reach
    given = ask or Ask(repo=reach.repo, branch=reach.branch, token_file=reach.token_file, ca_file=reach.ca_file)
    return replace(given, environment=environment.name)


def _is_elsewhere(ask: Ask) -> bool:
    return bool(ask.context or ask.kubeconfig or ask.destination)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One environment, where no records of ours tell of it."""

    places: Workplaces
    place: Workplace
    environment: EnvironmentSettings
    targets: tuple[Target, ...]
    forge: Forge | None

    def from_forge(self) -> tuple[Running, ...] | None:
        """As the forge's deployment records say; None where it has none, or cannot be asked."""
        deployments = self._deployments()
        newest = next((each for each in deployments if each.state in _ENDED), None)
        if newest is None:
            return None
        return tuple(self._as_deployed(target, newest, deployments) for target in self.targets)

    def _deployments(self) -> tuple[Deployment, ...]:
        run, place = self.places.run, self.place
        try:
            forge = self.forge or forge_for(
                run, place.repository, run.environ.get("CI_GITOPS_FORGE"), config=place.settings.config
            )
            return forge.deployments(self.environment.name)
        except CiGitopsError as error:
            run.output.detail(f"{self.environment.name}: no deployment records of a forge: {error.message}")
            return ()

    def _as_deployed(self, target: Target, newest: Deployment, deployments: Sequence[Deployment]) -> Running:
        tree = self._tree(newest)
        if not tree.holds(target.path):
            return nothing(target, f"{newest.sha[:12]}, which was deployed last, has no {target.path}.", "forge")
        if not self.place.repository.is_ancestor(newest.sha, self.place.revision):
            reason = (
                f"{newest.sha[:12]}, which the forge says is deployed, is not on {self.place.branch}: somebody has "
                "deployed another branch."
            )
            return nothing(target, reason, "forge")
        healthy = newest.state == "success"
        since = _since(newest, deployments) if healthy else 0
        return Running(
            target=target,
            revision=newest.sha,
            images=self._images(tree, target),
            healthy=healthy,
            reason=f"The forge's deployment record says that {newest.sha[:12]} "
            + (f"is deployed since {_time(since)}." if healthy else f"failed at {_time(newest.finished_at)}."),
            since=since,
            evidence="forge",
        )

    def _tree(self, deployment: Deployment) -> RepositoryTree:
        repository = self.place.repository
        try:
            return RepositoryTree(repository, repository.fetch(deployment.sha))
        except GitError as error:
            raise RefusedError(
                f"The forge's deployment record of {self.environment.name} names the commit {deployment.sha[:12]}, "
                f"which the config repository does not have: {error.message}",
                hint="Deploy a commit of the config repository, or make its records readable with --context.",
            ) from error

    def from_git(self) -> tuple[Running, ...]:
        """As the branch's head declares it: for environments that somebody else deploys, or that lie nowhere."""
        place, environment = self.place, self.environment
        who = f"operator: {environment.operator}" if environment.operator != "ci-gitops" else "it has no destination"
        written = self._written_at()
        return tuple(
            Running(
                target=target,
                revision=place.revision,
                images=self._images(place.tree, target),
                healthy=True,
                reason=f"Git alone says what runs in {environment.name} ({who}): {place.revision[:12]} declares it.",
                since=written[target],
                evidence="git",
            )
            for target in self.targets
        )

    def _written_at(self) -> dict[Target, int]:
        """When the branch got the images that it declares: by our newest commit that names the target, where it held
        just these already; else by its head, which is never too early."""
        place, repository = self.place, self.place.repository
        found: dict[Target, CommitInfo] = {}
        for count in _HISTORY_STEPS:
            if count and not repository.deepen(place.branch, count):
                break
            history = repository.log(place.revision, 1_000)
            found = {target: commit for target in self.targets if (commit := _newest_of(target, history))}
            if len(found) == len(self.targets):
                break
        head = repository.log(place.revision, 1)[0].time
        return {target: found[target].time if self._held(target, found.get(target)) else head
                for target in self.targets}  # fmt: skip

    def _held(self, target: Target, commit: CommitInfo | None) -> bool:
        if commit is None:
            return False
        repository = self.place.repository
        try:
            tree = RepositoryTree(repository, repository.fetch(commit.sha))
            return self._images(tree, target) == self._images(self.place.tree, target)
        except CiGitopsError:  # older files, which nobody promised to be readable
            return False

    def _images(self, tree: RepositoryTree, target: Target) -> tuple[str, ...]:
        files = targets_of(self.place, self.environment.name, [target.app])
        return images_in(tree, files[0])


def _newest_of(target: Target, history: Sequence[CommitInfo]) -> CommitInfo | None:
    name = f"{target.environment}/{target.app}"
    moved = (
        commit for commit in history
        if any(move.target == name for trailers in split_trailers(commit.message) for move in trailers.images)
    )  # fmt: skip
    return next(moved, None)


def _since(newest: Deployment, deployments: Sequence[Deployment]) -> int:
    """When it was first there: deploying the same commit again begins nothing new."""
    since = newest.finished_at or newest.created_at
    for each in (each for each in deployments if each.state in _ENDED):
        if each.sha != newest.sha or each.state != "success":
            break
        since = each.finished_at or each.created_at
    return since


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}" if seconds else "an unknown time"
