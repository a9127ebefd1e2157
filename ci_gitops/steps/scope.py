"""What `merge` and `gates` are about: branches of config repositories, their forges, and our merge requests there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.errors import ForgeError, UsageError
from ci_gitops.steps.authorship import of_people, told_of
from ci_gitops.steps.forge import forge_for
from ci_gitops.steps.gate_facts import Bench
from ci_gitops.steps.request_policy import Ruled, environments_at, ruled
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options that both commands have, as the command line gives them."""

    environments: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    repo: str | None = None
    branch: str | None = None
    forge: str | None = None
    forge_url: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None

    @property
    def reach(self) -> Reach:
        return Reach(self.repo, self.branch, self.ca_file, self.token_file)


@dataclass
class Shop:
    """One branch of one config repository, its forge, and the environments that are written there."""

    place: Workplace
    forge: Forge
    bench: Bench  # of this look
    environments: list[str] = field(default_factory=list)

    def written(self, request: MergeRequest, named: Sequence[str]) -> list[str]:
        """The environments that a merge request names, else those that the call does."""
        known = set(self.place.settings.environments)
        return sorted(request.environments & known) or [name for name in named if name in self.environments]


class Scope:
    """The branches of one call. `named` are its environments; () where neither the call nor the CI branch says any."""

    def __init__(self, places: Workplaces, asked: Asked) -> None:
        self.places = places
        self.root = places.root()
        self._asked = asked
        branch = places.run.ci.branch
        self.named = tuple(dict.fromkeys(asked.environments)) or (
            self.root.settings.environments_for_branch(branch) if branch else ()
        )
        self.shops = self._open_shops()
        self._told: dict[tuple[str, str, str], tuple[str, ...]] = {}

    def _open_shops(self) -> list[Shop]:
        settings = self.root.settings
        names = [settings.environment(name).name for name in self.named] or [*settings.environments]
        if not names:
            raise UsageError(
                f"{self.root.url} has no environment.", hint="`ci-gitops init` writes a configuration that names them."
            )
        shops: dict[tuple[str, str], Shop] = {}
        for name in names:
            place = self.places.of(settings.environment(name), self.root)
            key = (place.url, place.branch)
            if key not in shops:
                forge = self._forge(place)
                shops[key] = Shop(place, forge, Bench(forge, self.places, place))
            shops[key].environments.append(name)
        return list(shops.values())

    def _forge(self, place: Workplace) -> Forge:
        asked, config = self._asked, place.settings.config
        return forge_for(self.places.run, place.repository, asked.forge, url=asked.forge_url, config=config)

    def look_again(self, shop: Shop) -> None:
        """Policy and branch may have changed, and so may all facts."""
        shop.place = self.places.refreshed(shop.place)
        shop.bench = Bench(shop.forge, self.places, shop.place)

    def chosen(self, shop: Shop) -> list[MergeRequest]:
        """Those that the call names, else all of ours that are open."""
        if self._asked.numbers:
            return [
                request for number in dict.fromkeys(self._asked.numbers) for request in self._numbered(shop, number)
            ]
        open_ones = shop.forge.find(target=shop.place.branch)
        return [one for one in open_ones if one.environments & set(shop.environments)]

    def _numbered(self, shop: Shop, number: int) -> list[MergeRequest]:
        places = {other.place.url for other in self.shops}
        try:
            request = shop.forge.get(number)
        except ForgeError:
            if len(places) > 1 and shop is not self.shops[-1]:
                return []
            raise
        if len(places) > 1 and not self.named:
            raise UsageError(
                f"!{number} may be in any of {', '.join(sorted(places))}.", hint="Say which: --environment ENV."
            )
        return [request] if request.target == shop.place.branch else []

    def all_found(self, seen: set[int]) -> None:
        """UsageError where a number of the call is no merge request of these branches."""
        if missing := sorted(set(self._asked.numbers) - seen):
            onto = ", ".join(sorted({shop.place.branch for shop in self.shops}))
            raise UsageError(
                f"!{missing[0]} is no merge request onto {onto}.",
                hint="Name its branch with --branch or --environment.",
            )

    def ruled(self, shop: Shop, request: MergeRequest, written: Sequence[str]) -> Ruled:
        """The rules of all environments that it writes to."""
        here = environments_at(shop.place, self.root, self._asked.branch) or shop.environments
        found = ruled(shop.place, request, written, here)
        # Where it is a promotion of ours: who reads on should know.
        theirs = self.of_people(shop.place, request) if request.targets else ()
        return replace(found, notes=(*found.notes, *(f"!{request.iid} holds {told}." for told in theirs)))

    def of_people(self, place: Workplace, request: MergeRequest) -> tuple[str, ...]:
        """The commits of people that its branch holds, in words."""
        key = (place.url, place.revision, request.head_sha)
        if key not in self._told:
            head = place.repository.fetch(request.source)
            own = place.repository.only_in(head, place.revision) if head == request.head_sha else []
            self._told[key] = tuple(told_of(commit) for commit in of_people(place, own))
        return self._told[key]
