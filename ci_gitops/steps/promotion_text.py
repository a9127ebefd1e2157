"""Gathers what the merge request of a promotion says, from all who know a part of it.

A promotion never fails for its text: what is not to be had, or not in time, is left out, and one line says so. The
registries, the source repositories and the forge are asked while the targets are rendered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ci_gitops.adapters.handover import write_text
from ci_gitops.core.mergerequest_text import Section
from ci_gitops.core.promotion_text import Origin, Told, sections
from ci_gitops.core.running import Running
from ci_gitops.errors import CiGitopsError
from ci_gitops.steps import image_origins, request_history
from ci_gitops.steps.declared import Ask
from ci_gitops.steps.request_diff import after_merging, changed_policy, live_plan, rendered_changes, whole_diff
from ci_gitops.steps.request_history import RequestHistory, gates_of, history_of
from ci_gitops.steps.request_text import Draft, commands_back, rules_of
from ci_gitops.steps.side_by_side import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionText:
    """`proof` is what runs where it comes from, `ask` says where the cluster is, `diff_out` gets the whole diff."""

    proof: tuple[Running, ...] = ()
    ask: Ask | None = None
    diff_out: Path | None = None

    def __call__(self, draft: Draft) -> tuple[Section, ...]:
        return sections(self.told(draft))

    def told(self, draft: Draft) -> Told:
        origins = Asked({"": partial(image_origins.origins_of, draft)}, image_origins.LONGEST)
        apps = {move.app for move in draft.block.moves if move.environment == draft.environment.name}
        proof = tuple(each for each in self.proof if each.target.app in apps)
        sources = {each.target.environment for each in proof}
        told = Told(
            environment=draft.environment.name, block=draft.block, branch=draft.place.branch, rules=rules_of(draft),
            page=draft.request.url if draft.request else "", commands=commands_back(draft), proof=proof,
        )  # fmt: skip
        history = Asked({"": partial(history_of, draft, sources)}, request_history.LONGEST)
        if draft.forge.kind == "local":  # it works in the same repository as the rendering and the gates
            told = _with_history(told, history.answers()[""])
        told = _with_gates(self._with_manifests(told, draft, tuple(sorted(apps))), draft)
        if draft.forge.kind != "local":
            told = _with_history(told, history.answers()[""])
        return _with_origins(told, origins.answers()[""])

    def _with_manifests(self, told: Told, draft: Draft, apps: tuple[str, ...]) -> Told:
        if not draft.head:
            return told
        reach = draft.places.reach
        ask = self.ask or Ask(repo=reach.repo, branch=reach.branch, token_file=reach.token_file, ca_file=reach.ca_file)
        ask = replace(ask, environment=draft.environment.name, apps=apps)
        try:
            outcome = after_merging(draft)
            told = replace(told, policy=changed_policy(draft), conflict=outcome.conflict)
        except CiGitopsError as error:
            return _without(told, f"what changes in the manifests: {error.message}")
        changes = rendered_changes(draft, outcome, ask)
        if self.diff_out:
            write_text(self.diff_out, whole_diff(changes))
        told = replace(told, rendered=changes)
        if any(change.trouble for change in changes):
            return _without(told, "what a deploy would do now: not everything can be rendered")
        try:
            return replace(told, live=live_plan(draft, outcome, ask))
        except CiGitopsError as error:
            return _without(told, f"what a deploy would do now: {error.message}")


def _with_origins(told: Told, origins: tuple[Origin, ...] | CiGitopsError) -> Told:
    if isinstance(origins, CiGitopsError):
        return _without(told, f"the commits of the images: {origins.message}")
    return replace(told, origins=origins)


def _with_history(told: Told, history: RequestHistory | CiGitopsError) -> Told:
    if isinstance(history, CiGitopsError):
        return _without(told, f"what the forge knows of it: {history.message}")
    return replace(
        told, bringing=history.bringing, earlier=history.earlier, superseded=history.superseded,
        left_out=(*told.left_out, *history.left_out),
    )  # fmt: skip


def _with_gates(told: Told, draft: Draft) -> Told:
    try:
        return replace(told, gates=gates_of(draft))
    except CiGitopsError as error:
        return _without(told, f"the state of the gates: {error.message}")


def _without(told: Told, why: str) -> Told:
    return replace(told, left_out=(*told.left_out, why))
