"""What our account may not do, told before the first write (SelfSubjectAccessReview)."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from ci_gitops.adapters.cluster.base import ApiError, Cluster, Question
from ci_gitops.core.inventory import Key
from ci_gitops.core.permissions import Extent, Right, rights, written
from ci_gitops.core.prepared import PreparedHook
from ci_gitops.core.targets import Target
from ci_gitops.errors import ClusterError
from ci_gitops.steps.planning import Work

_SHOWN = 6
_EVERYTHING = Question("*", "*", "*")
_ANEW = ("create", "delete", "patch")
_VERBS = {"create": ("create", "patch"), "update": ("patch",), "delete": ("delete",)}


class Preflight:
    """Questions to one cluster, each asked once in a run. Safe to use from several threads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._answers: dict[Question, bool] = {}
        self._may_everything = False
        self._lock = Lock()

    def check(self, target: Target, work: Iterable[Work], hooks: Iterable[PreparedHook], records: str) -> None:
        """ClusterError names each right that is missing for this work."""
        if not self._cluster.alive:
            return
        missing = self.missing(self._needed(work, hooks, records))
        if not missing:
            return
        more = f"; and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        said = "; ".join(f"{right} ({right.why})" for right in missing[:_SHOWN])
        raise ClusterError(
            f"{target}: the account may not {said}{more} of {self._cluster}. Nothing was written.",
            hint=f"`ci-gitops rbac --environment {target.environment}` prints the roles that a deploy takes.",
        )

    def _needed(self, work: Iterable[Work], hooks: Iterable[PreparedHook], records: str) -> list[Right]:
        """Only what is about to be done: a right that is not used now is not asked for."""
        needed = list(rights((), (), self._cluster.resource, Extent(records)))
        done = [
            (each.document or each.live or {}, _ANEW if each.recreate else _VERBS.get(each.operation, ()))
            for each in work
        ]
        for document, verbs in (*done, *((hook.document, _ANEW) for hook in hooks)):
            key = Key.of(document)
            if served := self._cluster.resource(str(document.get("apiVersion")), key.kind):
                needed += written(key, served, verbs)
        return needed

    def missing(self, needed: Iterable[Right]) -> list[Right]:
        """Those that the account does not have; none where the server does not answer such questions."""
        asked = {question(right): right for right in reversed(list(needed))}
        with self._lock:
            new = [each for each in asked if each not in self._answers]
            try:
                if new and not self._answers:  # an administrator needs no more than one answer
                    self._may_everything = all(self._cluster.may([_EVERYTHING]))
                answers = (True,) * len(new) if self._may_everything else self._cluster.may(new)
            except ApiError:
                answers = (True,) * len(new)
            self._answers.update(zip(new, answers, strict=True))
            return sorted(right for each, right in asked.items() if not self._answers[each])


def question(right: Right) -> Question:
    return Question(right.verb, right.group, right.resource, right.namespace, right.name, right.subresource)
