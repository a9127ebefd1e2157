"""The text of a GitLab dotenv report: variables that one job hands to later ones.

GitLab takes few characters and drops the whole report where one line is wrong, so what it would not take is
refused here, by name (https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ci_gitops.errors import UsageError

#: GitLab's default is 20 variables for all reports of a job, self-managed; other tools in the job want some too.
MOST_VARIABLES = 10
LARGEST = 5 * 1024  # bytes
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFUSED = re.compile(r"[\s\"'\\$\x00-\x1f\x7f]")


def dotenv(variables: Mapping[str, str]) -> str:
    """One `KEY=value` a line, in the order given. Values stand as they are: GitLab knows no quotes."""
    if len(variables) > MOST_VARIABLES:
        raise UsageError(f"A dotenv report may hold {MOST_VARIABLES} variables; {len(variables)} were given.")
    text = "".join(f"{_key(key)}={_value(key, value)}\n" for key, value in variables.items())
    if len(text.encode()) > LARGEST:
        raise UsageError(f"A dotenv report may be {LARGEST} bytes long; this one has {len(text.encode())}.")
    return text


def _key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise UsageError(f"{key!r} cannot name a variable: letters, digits and underscores only.")
    return key


def _value(key: str, value: str) -> str:
    found = _REFUSED.search(value)
    if found:
        raise UsageError(
            f"The value of {key} holds {found[0]!r}, which a dotenv report cannot carry.",
            hint="No space, newline, quote, backslash or dollar sign is possible there.",
        )
    return value
