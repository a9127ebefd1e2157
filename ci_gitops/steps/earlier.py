"""What a target was before, as Git alone tells it: for whoever has to say where to go back to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ci_gitops.adapters.git import CommitInfo
from ci_gitops.core.images import ImageRef
from ci_gitops.core.records import Record
from ci_gitops.core.targets import Target
from ci_gitops.core.trailers import parse_trailers
from ci_gitops.errors import CiGitopsError
from ci_gitops.steps.workplace import Workplace

_LOOKED_AT = 50  # commits of the branch
_OPENED = 20  # of those: each is asked for by itself
_TOLD = 3


@dataclass(frozen=True, slots=True)
class Earlier:
    """A revision at which the target's images were others than they are now."""

    target: Target
    revision: str
    at: str  # RFC 3339
    images: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.revision[:12]} of {self.at[:16].replace('T', ' ')} with {', '.join(map(_short, self.images))}"


def earlier(place: Workplace, target: Target, declared: Callable[[Target, str], Record | None]) -> tuple[Earlier, ...]:
    """The newest few; none where nothing is known. `declared` gives what Git declares of a target at a revision."""
    try:
        place.repository.deepen(place.branch, _LOOKED_AT)
        log = place.repository.log(place.revision, _LOOKED_AT)
        now = declared(target, place.revision)
        return tuple(islice(_others(target, _candidates(log, target), now.images if now else (), declared), _TOLD))
    except CiGitopsError:  # it only helps
        return ()


def _candidates(log: Sequence[CommitInfo], target: Target) -> Sequence[CommitInfo]:
    """The commits that moved the target as far as they say so, and what each of them began from."""
    name = f"{target.environment}/{target.app}"
    told = {each.sha for each in log if any(move.target == name for move in parse_trailers(each.message).images)}
    begun = {each.parents[0] for each in log if each.sha in told and each.parents}
    return [each for each in log if not told or each.sha in told | begun][:_OPENED]


def _others(
    target: Target, log: Sequence[CommitInfo], now: Sequence[str], declared: Callable[[Target, str], Record | None]
) -> Iterator[Earlier]:
    seen = {tuple(now)}
    for commit in log:
        then = declared(target, commit.sha)
        if then and then.images and then.images not in seen:
            seen.add(then.images)
            yield Earlier(target, commit.sha, then.started, then.images)


def _short(image: str) -> str:
    ref = ImageRef.parse(image)
    return f"{ref.name}:{ref.tag}" if ref.tag else image
