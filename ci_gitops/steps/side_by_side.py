"""Questions to several places at once: who does not answer in time is left behind and keeps nobody waiting."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from ci_gitops.errors import CiGitopsError, TemporaryError

K = TypeVar("K")
V = TypeVar("V")


class Asked(Generic[K, V]):
    """Each question runs in a thread of its own from now on."""

    def __init__(self, questions: Mapping[K, Callable[[], V]], seconds: float) -> None:
        self._told: queue.SimpleQueue[tuple[K, V | CiGitopsError]] = queue.SimpleQueue()
        self._names = tuple(questions)
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        for name, question in questions.items():
            threading.Thread(target=self._ask, args=(name, question), daemon=True, name="asking").start()

    def _ask(self, name: K, question: Callable[[], V]) -> None:
        try:
            self._told.put((name, question()))
        except CiGitopsError as error:
            self._told.put((name, error))

    def answers(self) -> dict[K, V | CiGitopsError]:
        """Of each question its answer, or why there is none."""
        found: dict[K, V | CiGitopsError] = {}
        while len(found) < len(self._names):
            try:
                name, answer = self._told.get(timeout=max(0.0, self._deadline - time.monotonic()))
            except queue.Empty:
                break
            found[name] = answer
        late = TemporaryError(f"there was no answer within {self._seconds:.0f} s")
        return {name: found.get(name, late) for name in self._names}
