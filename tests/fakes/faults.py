"""What can go wrong with one call to a server, and a plan that lets it go wrong.

plan.add(Fault("status", status=429, headers={"Retry-After": "5"}), "PUT", r"/merge$")
plan.add(Fault("drop", after=True), "POST")        # done, and the answer is lost
plan.add(Fault("hang"), times=2)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

Kind = Literal["status", "drop", "hang", "truncated", "html", "no-json", "other-json"]


@dataclass(frozen=True)
class Fault:
    kind: Kind
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None  # None: as such a server words it
    after: bool = False  # the call has its effect first


#: Every way of failing, by a name for tests.
FAULTS: Mapping[str, Fault] = {
    **{str(status): Fault("status", status) for status in (401, 403, 404, 405, 406, 409, 422, 500, 502, 503)},
    "429 for 5 s": Fault("status", 429, {"Retry-After": "5"}, b"Retry later\n"),
    "429 for an hour": Fault("status", 429, {"Retry-After": "3600"}, b"Retry later\n"),
    "500 after the effect": Fault("status", 500, after=True),
    "502 after the effect": Fault("status", 502, after=True),
    "connection lost before": Fault("drop"),
    "connection lost after": Fault("drop", after=True),
    "no answer": Fault("hang"),
    "no answer, but done": Fault("hang", after=True),
    "cut off": Fault("truncated", after=True),
    "HTML": Fault("html"),
    "HTML, but done": Fault("html", after=True),
    "no JSON": Fault("no-json", after=True),
    "other JSON": Fault("other-json", after=True),
}


@dataclass
class _Planned:
    fault: Fault
    method: str
    path: re.Pattern[str]
    times: int
    skip: int


@dataclass
class FaultPlan:
    """Faults for the calls to come; each is met by the first calls that fit, `times` times, after `skip` of them."""

    planned: list[_Planned] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def add(self, fault: Fault, method: str = "", path: str = "", *, times: int = 1, skip: int = 0) -> None:
        self.planned.append(_Planned(fault, method, re.compile(path), times, skip))

    def next(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for one in self.planned:
                if one.times and one.method in ("", method) and one.path.search(path):
                    if one.skip:
                        one.skip -= 1
                        continue
                    one.times -= 1
                    self.met.append(f"{method} {path}")
                    return one.fault
        return None
