"""Whose approvals count: people's, for exactly one head, and nobody's for what is one's own.

Who opened a merge request does not approve it, nor does who pushed to its branch, nor who made a commit of one's own
there. Who started the pipeline that wrote it may: a bot opens what a schedule or a merge elsewhere has set off.

Any name may stand in a commit; who pushed is what the forge knows. Where it does not tell that of a person's commit,
one approval more is wanted: then at least the others are somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ci_gitops.core.gates import Approval, ApprovalRule, GateState
from ci_gitops.core.text import counted

# 12345+alice@users.noreply.github.com, 12345-alice@users.noreply.gitlab.com
_NOREPLY = re.compile(r"[0-9]+[+-](?P<login>[^@]+)@users\.noreply\..*")


@dataclass(frozen=True, slots=True)
class Push:
    """That somebody moved a branch, as the forge knows it. `before` is "" where the branch was new."""

    user: str
    before: str
    after: str


class Named(Protocol):
    """Somebody as a commit names them."""

    @property
    def name(self) -> str: ...
    @property
    def email(self) -> str: ...


class Made(Protocol):
    """A commit, as far as it tells who made it."""

    @property
    def sha(self) -> str: ...
    @property
    def author(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def committer(self) -> Named: ...


def pushed_by(own: Sequence[str], pushes: Iterable[Push]) -> dict[str, frozenset[str]]:
    """Who pushed each of a branch's commits (`own`, newest first), as far as it is known."""
    found: dict[str, frozenset[str]] = {}
    for push in pushes:
        if push.after in own:
            since = own[own.index(push.after) :]
            brought = since[: since.index(push.before)] if push.before in since else since
            found |= {sha: found.get(sha, frozenset()) | {push.user} for sha in brought}
    return found


def barred(
    author: str, theirs: Iterable[Made] = (), pushed: Mapping[str, Iterable[str]] | None = None
) -> dict[str, str]:
    """Login -> why its approval does not count: who opened it, who made a commit of people's, and who pushed any."""
    found = {author.casefold(): f"{author} opened it"} if author else {}
    for commit in theirs:
        why = f"the commit {commit.sha[:12]} is theirs"
        found = {**{login.casefold(): why for login in _logins(commit)}, **found}
    for sha, users in (pushed or {}).items():
        found = {**{user.casefold(): f"{user} pushed {sha[:12]}" for user in users}, **found}
    return found


def _logins(commit: Made) -> set[str]:
    """The logins that who made a commit may have: it holds names and addresses, and no login."""
    return _of(commit.author, commit.email) | _of(commit.committer.name, commit.committer.email)


def _of(name: str, email: str) -> set[str]:
    hidden = _NOREPLY.fullmatch(email)
    return {name, hidden["login"] if hidden else email.partition("@")[0]} - {""}


def approvals_wanted(rule: ApprovalRule) -> GateState:
    """The gate of a merge request that is not there yet."""
    of = f" of {', '.join(rule.groups)}" if rule.groups else ""
    return GateState("approvals", False, f"{counted(rule.count, 'approval')}{of} will be wanted")


def approvals_gate(
    rule: ApprovalRule,
    head_sha: str,
    approvals: Iterable[Approval],
    *,
    not_counted: Mapping[str, str] | None = None,
    members: Mapping[str, Iterable[str]] | None = None,
    unknown: Sequence[str] = (),
) -> GateState:
    """People's consent to exactly this head. `not_counted` (login -> why) are those whose own does not count.

    `members` are those of each of the rule's groups. Logins are told apart without their capitals, as the forges do.
    `unknown` are people's commits of which nobody knows who pushed them.
    """
    count = rule.count + bool(unknown)
    given = {approval.user.casefold(): approval.user for approval in approvals if approval.sha == head_sha}
    stale = {approval.user for approval in approvals if approval.user.casefold() not in given}
    reasons = {login.casefold(): why for login, why in (not_counted or {}).items()}
    inside = {login.casefold() for group in rule.groups for login in (members or {}).get(group, ())}
    if rule.groups:
        outside = f"in none of {', '.join(rule.groups)}"
        reasons = {**{login: outside for login in given if login not in inside}, **reasons}
    users = sorted(user for login, user in given.items() if login not in reasons)
    wanted = f"{len(users)} of {counted(count, 'approval')}"
    notes = [f"that of {user} does not count: {reasons[login]}" for login, user in sorted(given.items())
             if login in reasons]  # fmt: skip
    notes += [f"{group} has no members that can be read" for group in rule.groups
              if members is not None and not members.get(group)]  # fmt: skip
    if unknown:
        notes.append(f"one more than usual, since the forge does not tell who pushed {unknown[0][:12]}")
    if stale and len(users) < count:
        notes.insert(0, f"{counted(len(stale), 'approval')} of an older head")
    of = f" of {', '.join(rule.groups)}" if rule.groups else ""
    by = f" ({', '.join(users)})" if users else ""
    return GateState("approvals", len(users) >= count, "; ".join([f"{wanted}{of}{by}", *notes]))
