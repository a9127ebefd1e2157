"""All checks at once, each in a thread with a bound: one that hangs delays no other, and the report ends in time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from ci_gitops.errors import CiGitopsError
from ci_gitops.steps.checks.base import Finding, Scene

Check = Callable[[Scene], Iterable[Finding]]


def examine(checks: Mapping[str, Check], scene: Scene, seconds: float) -> Iterator[Finding]:
    """The findings, in the order of `checks`."""
    answers: dict[str, queue.SimpleQueue[list[Finding]]] = {name: queue.SimpleQueue() for name in checks}
    for name, check in checks.items():
        # A daemon thread: what hangs for longer than we wait must not keep the process.
        threading.Thread(target=_run, args=(name, check, scene, answers[name]), name=name, daemon=True).start()
    deadline = time.monotonic() + seconds
    for name, answer in answers.items():
        try:
            yield from answer.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            yield Finding(name, "fail", f"It did not end within {seconds:.0f} s.", "--timeout")


def _run(name: str, check: Check, scene: Scene, answer: queue.SimpleQueue[list[Finding]]) -> None:
    found: list[Finding] = []
    try:
        found.extend(check(scene))
    except CiGitopsError as error:
        found.append(Finding(name, "fail", error.message, error.hint or name))
    except Exception as error:
        found.append(Finding(name, "fail", f"The check itself failed: {type(error).__name__}: {error}", "a bug"))
    answer.put(found)
