"""What the description of a merge request says below its table.

`brief` asks nobody: it is what every merge request of ours says. What a promotion says besides is in
`steps/promotion_text`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci_gitops.adapters.forges.base import Forge
from ci_gitops.core.durations import format_duration
from ci_gitops.core.layout import CONFIG_FILE
from ci_gitops.core.mergerequest_text import Block, Section, put_block
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.request_text import gate_rules, goes_back, policy_warning, way_back, way_back_of
from ci_gitops.core.text import counted
from ci_gitops.core.trailers import ValueMove
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.workplace import Workplace, Workplaces

if TYPE_CHECKING:
    from ci_gitops.steps.merging import MergePolicy

_OWN_FOLDER = ".ci-gitops/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A merge request whose text is made: onto the branch of `place`, holding `block`.

    `head` is the newest commit of its branch, here if not yet on the server; empty where there is none yet. `request`
    is None before it is opened.
    """

    places: Workplaces
    place: Workplace
    environment: EnvironmentSettings
    policy: MergePolicy
    forge: Forge
    block: Block
    head: str = ""
    request: MergeRequest | None = None

    @property
    def back(self) -> bool:
        """Whether it says that it goes back, and does nothing besides."""
        return bool(self.block.commits) and all(commit.back_to for commit in self.block.commits)

    def described(self, tell: Tell) -> str:
        """The whole description, with what people wrote around our block."""
        around = self.request.description if self.request else ""
        return put_block(around, self.block, tell(self), limit=self.forge.description_limit)


Tell = Callable[[Draft], tuple[Section, ...]]


def brief(draft: Draft) -> tuple[Section, ...]:
    """Whatever is known without a question to anybody."""
    moves = draft.block.moves
    made = (
        policy_warning(
            policy_files((move.path for move in moves if isinstance(move, ValueMove)), draft.place.keys),
            draft.place.branch,
        ),
        goes_back(draft.block, draft.request.url if draft.request else ""),
        gate_rules(draft.environment.name, rules_of(draft)),
        way_back(commands_back(draft)),
    )
    return tuple(section for section in made if section)


def commands_back(draft: Draft) -> tuple[str, ...]:
    """What takes it back; a way back has none of its own."""
    environment = draft.environment
    recorded = environment.operator == "ci-gitops" and environment.destination is not None
    return () if draft.back else way_back_of(draft.block, records=recorded)


def policy_files(paths: Iterable[str], keys: Collection[str]) -> tuple[str, ...]:
    """Those of the files that say by which rules is merged and deployed; `keys` vouch for images."""
    rules = {CONFIG_FILE, *keys}
    return tuple(sorted({path for path in paths if path in rules or path.startswith(_OWN_FOLDER)}))


def rules_of(draft: Draft) -> tuple[str, ...]:
    """The gates that are configured, and who merges."""
    environment = draft.environment
    gates = environment.rollback.gates if draft.back else environment.gates
    said = [
        {"auto": "CI, where there is any", "required": "CI", "optional": "CI, where anything runs"}[environment.ci],
        "healthy in the environment before it" if gates.healthy else "",
        f"a soak of {format_duration(gates.soak)} there" if gates.soak else "",
        _approvals(gates.approvals.count, gates.approvals.groups),
        f"the statuses {', '.join(gates.statuses)}" if gates.statuses else "",
        counted(len(gates.http), "HTTP check") if gates.http else "",
        "no freeze" if gates.freeze else "",
        counted(len(gates.windows), "time window") if gates.windows else "",
        {"manual": "people merge it", "when-green": "merged when all hold", "now": "merged at once"}[draft.policy.rule],
    ]
    return tuple(filter(None, said))


def _approvals(count: int, groups: Sequence[str]) -> str:
    of = f" of {' or '.join(groups)}" if groups else ""
    return f"{counted(count, 'approval')}{of}" if count else ""
