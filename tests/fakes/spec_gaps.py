"""Where a forge's description of its own API is wrong or silent: the one place where a fake may leave it.

`call` is a pattern for `METHOD path-template` (for what is not described at all: `METHOD path`), `part` what is
wrong of it: the whole `call`, a `status` that it answers, or names of fields of the `request` or `answer` (`answer` is
the whole one).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Gap:
    call: str
    part: Literal["call", "status", "request", "answer"]
    names: tuple[str, ...]
    why: str


_PROJECT = r"/api/v4/projects/\{id\}"
_MR = r"/api/v4/projects/[^/]+/merge_requests/[^/]+"

GITLAB: tuple[Gap, ...] = (
    Gap(rf"(GET|POST) {_MR}/notes", "call", (), "notes are described in the newer file only"),
    Gap(rf"(GET|PUT|DELETE) {_MR}/notes/\d+", "call", (), "notes are described in the newer file only"),
    Gap(r"GET /api/v4/users", "call", (), "the lookup of users by name is not described"),
    Gap(r"(GET|POST) /api/v4/projects/[^/]+/merge_trains.*", "call", (), "trains are described in the newer file only"),
    Gap(rf"(GET|POST|PUT) {_PROJECT}/merge_requests.*", "answer", ("assignees", "reviewers"), "lists, shown as one"),
    Gap(rf"GET {_PROJECT}/merge_requests/.*/approvals", "answer", ("approved_by",), "a list, shown as one"),
    Gap(rf"GET {_PROJECT}/events", "answer", ("answer",), "a list, shown as one"),
    Gap(rf"POST {_PROJECT}/merge_requests", "status", ("403",), "a description with commands that are not allowed"),
    Gap(rf"PUT {_PROJECT}/merge_requests/.*/merge", "status", ("406",), "what older servers say before they looked"),
    Gap(rf"POST {_PROJECT}/merge_requests/.*/cancel_.*", "answer", ("status",), "it answers no merge request"),
    Gap(rf"PUT {_PROJECT}/merge_requests/.*/rebase", "status", ("202",), "it is under way, not done"),
    Gap(rf"POST {_PROJECT}/statuses/.*", "status", ("201",), "it is created"),
    Gap(rf"GET {_PROJECT}/(variables|job_token_scope/allowlist)", "answer", ("answer",), "a list, shown as one"),
    Gap(rf"GET {_PROJECT}", "status", ("301",), "where a renamed project is, by its number"),
)

GITHUB: tuple[Gap, ...] = (
    Gap(r"POST /api/graphql", "call", (), "GraphQL has a description of its own"),
    Gap(r"(GET|PUT|POST|PATCH|DELETE) /repositories/1(/.*)?", "call", (), "where a renamed repository is, by its id"),
    Gap(r"POST /repos/[^/]+/[^/]+/.*", "status", ("307",), "how a change to a renamed repository is sent on"),
    Gap(r".*", "status", ("401", "403"), "a token that is not taken, or may not do this: left out for most calls"),
    Gap(r"GET /orgs/[^/]+/teams/.*", "status", ("404",), "a team that is not there, or not for this token"),
    Gap(
        r"GET /repos/.*/check-runs", "answer", ("conclusion",), "'stale' and 'startup_failure' are missing in its list"
    ),
)
