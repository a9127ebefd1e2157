"""How a simulated container behaves: well, unless its image's tag or an annotation of its pod says else.

A tag that is, begins or ends with one of these words (`broken`, `1.4-broken`, `crash-2`) asks for it; the annotation
`simulated.ci-gitops/behavior` on a pod, or a template of pods, asks for it whatever the tag says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ci_gitops.core.controllers.hands import PREFIX

#: broken: the image cannot be pulled; crash: ends with an error soon after each start; stall: runs and is never ready;
#: pending: no node takes the pod.
WORDS = ("broken", "crash", "stall", "pending")
BEHAVIOR = PREFIX + "behavior"
READY_AFTER = PREFIX + "ready-after"  # how long until a container that started is ready
RUN_FOR = PREFIX + "run-for"  # how long the container of a job runs
EXIT_CODE = PREFIX + "exit-code"  # with which one that crashes ends
LOG = PREFIX + "log"  # what its containers write
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


@dataclass(frozen=True, slots=True)
class Behavior:
    word: str  # one of WORDS, or empty
    ready_after: float
    run_for: float
    exit_code: int
    log: str | None


def behavior(pod: Mapping[str, Any], image: str) -> Behavior:
    annotations = pod["metadata"].get("annotations") or {}
    word = annotations.get(BEHAVIOR, "")
    if word not in WORDS:
        word = "" if word else _of_tag(image)
    code = annotations.get(EXIT_CODE, "1")
    return Behavior(
        word, seconds(annotations.get(READY_AFTER), 0.5), seconds(annotations.get(RUN_FOR), 0.5),
        int(code) if code.isdigit() else 1, annotations.get(LOG),
    )  # fmt: skip


def _of_tag(image: str) -> str:
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    parts = re.split(r"[-_.]", tag)
    return next((word for word in WORDS if word in (parts[0], parts[-1])), "")


def seconds(text: str | None, default: float) -> float:
    """`5s`, `200ms`, `1m`; what is no duration counts as not given."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text or "")
    return float(found[1]) * _UNITS[found[2]] if found else default
