"""Whose approvals count: people's, for exactly one head, and nobody's for what is one's own.

Who opened a merge request does not approve it, nor does who added a commit of one's own to its branch. Who started the
pipeline that wrote it may: a bot opens what a schedule or a merge elsewhere has set off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ci_gitops.core.gates import Approval, ApprovalRule, GateState
from ci_gitops.core.mergerequests import CommitLike
from ci_gitops.core.text import counted
from ci_gitops.core.trailers import parse_trailers

# 12345+alice@users.noreply.github.com, 12345-alice@users.noreply.gitlab.com
_NOREPLY = re.compile(r"[0-9]+[+-](?P<login>[^@]+)@users\.noreply\..*")


def barred(author: str, commits: Iterable[CommitLike]) -> dict[str, str]:
    """Login -> why its approval does not count: who opened it, and, as far as a commit tells, who added to it."""
    found = {author.casefold(): f"{author} opened it"} if author else {}
    for commit in commits:
        if not parse_trailers(commit.message).ours:
            why = f"the commit {commit.sha[:12]} is theirs"
            found = {**{login.casefold(): why for login in _logins(commit)}, **found}
    return found


def _logins(commit: CommitLike) -> set[str]:
    """The logins that a commit's author may have: a commit holds a name and an address, and no login."""
    hidden = _NOREPLY.fullmatch(commit.email)
    return {commit.author, hidden["login"] if hidden else commit.email.partition("@")[0]} - {""}


def approvals_gate(
    rule: ApprovalRule,
    head_sha: str,
    approvals: Iterable[Approval],
    *,
    not_counted: Mapping[str, str] | None = None,
    members: Mapping[str, Iterable[str]] | None = None,
) -> GateState:
    """People's consent to exactly this head. `not_counted` (login -> why) are those whose own does not count.

    `members` are those of each of the rule's groups. Logins are told apart without their capitals, as the forges do.
    """
    given = {approval.user.casefold(): approval.user for approval in approvals if approval.sha == head_sha}
    stale = {approval.user for approval in approvals if approval.user.casefold() not in given}
    reasons = {login.casefold(): why for login, why in (not_counted or {}).items()}
    inside = {login.casefold() for group in rule.groups for login in (members or {}).get(group, ())}
    if rule.groups:
        outside = f"in none of {', '.join(rule.groups)}"
        reasons = {**{login: outside for login in given if login not in inside}, **reasons}
    users = sorted(user for login, user in given.items() if login not in reasons)
    wanted = f"{len(users)} of {counted(rule.count, 'approval')}"
    notes = [f"that of {user} does not count: {reasons[login]}" for login, user in sorted(given.items())
             if login in reasons]  # fmt: skip
    notes += [f"{group} has no members that can be read" for group in rule.groups
              if members is not None and not members.get(group)]  # fmt: skip
    if stale and len(users) < rule.count:
        notes.insert(0, f"{counted(len(stale), 'approval')} of an older head")
    of = f" of {', '.join(rule.groups)}" if rule.groups else ""
    by = f" ({', '.join(users)})" if users else ""
    return GateState("approvals", len(users) >= rule.count, "; ".join([f"{wanted}{of}{by}", *notes]))
