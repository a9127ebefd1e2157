"""What is asked of a cluster before the first write, and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ci_gitops.adapters.cluster.base import ApiError, Question
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.cluster.files import LocalFiles
from ci_gitops.core.permissions import Right
from ci_gitops.core.targets import Target
from ci_gitops.errors import ClusterError
from ci_gitops.steps.preflight import Preflight

TARGET = Target("shop", "production", "apps/shop")
READ, WRITE = Right("shop", "apps", "deployments", "get"), Right("shop", "apps", "deployments", "patch")


class Asked(Directory):
    """A cluster that answers by a function and remembers what it was asked."""

    alive = True

    def __init__(self, answer: Callable[[Question], bool]) -> None:
        super().__init__(LocalFiles(Path("/nonexistent")), TARGET)
        self.answer = answer
        self.questions: list[Question] = []

    def may(self, questions: Sequence[Question]) -> tuple[bool, ...]:
        self.questions += questions
        return tuple(map(self.answer, questions))


def test_an_administrator_is_asked_once() -> None:
    cluster = Asked(lambda question: True)
    preflight = Preflight(cluster)
    assert preflight.missing([READ, WRITE]) == []
    assert preflight.missing([READ, Right("other", "", "services", "patch")]) == []
    assert cluster.questions == [Question("*", "*", "*")]


def test_each_right_is_asked_for_once() -> None:
    cluster = Asked(lambda question: question.verb == "get")
    preflight = Preflight(cluster)
    assert preflight.missing([READ, WRITE]) == [WRITE]
    assert preflight.missing([READ, WRITE]) == [WRITE]
    assert sorted(question.verb for question in cluster.questions) == ["*", "get", "patch"]


def test_a_server_that_answers_no_questions_is_no_refusal() -> None:
    def refuse(question: Question) -> bool:
        raise ApiError("no such API", status=404)

    assert Preflight(Asked(refuse)).missing([READ, WRITE]) == []


def test_what_is_missing_is_named_with_what_it_is_for() -> None:
    cluster = Asked(lambda question: question.resource not in ("*", "leases"))
    with pytest.raises(ClusterError) as raised:
        Preflight(cluster).check(TARGET, [], [], "records")
    message = raised.value.message
    assert message.startswith("shop in production: the account may not ")
    assert "create leases.coordination.k8s.io in records (to be the only one who writes)" in message
    assert "Nothing was written." in message
    cluster.alive = False
    Preflight(cluster).check(TARGET, [], [], "records")
