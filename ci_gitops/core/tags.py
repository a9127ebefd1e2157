"""Which tag is the newest: by its version, not by when somebody made it.

Numbers count as numbers. A prerelease, as semantic versioning spells it (`v2.0.0-rc.1`), is older than its release,
and is taken only where the pattern names one (`v*-rc*`) or where there is nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

_PRERELEASE = re.compile(r"(?<=[0-9])-(?=[0-9A-Za-z.-]*[A-Za-z])[0-9A-Za-z.-]+")
_BUILD = re.compile(r"\+[0-9A-Za-z.-]+$")
_TOKENS = re.compile(r"[0-9]+|[^0-9.]+")
_Token = tuple[int, int, str]


def newest_tag(names: Iterable[str], pattern: str) -> str | None:
    """The newest of the tags that fit `pattern`; None where none does."""
    fitting = [name for name in names if fnmatchcase(name, pattern)]
    releases = [name for name in fitting if not _PRERELEASE.search(_BUILD.sub("", name))]
    return max(releases if releases and "-" not in pattern else fitting, key=_version, default=None)


def _version(name: str) -> tuple[list[_Token], int, list[_Token], str]:
    plain = _BUILD.sub("", name)
    prerelease = _PRERELEASE.search(plain)
    release = plain[: prerelease.start()] if prerelease else plain
    return _tokens(release), 0 if prerelease else 1, _tokens(prerelease[0] if prerelease else ""), name


def _tokens(text: str) -> list[_Token]:
    """Numbers before words, as semantic versioning orders them."""
    return [(0, int(token), "") if token.isdigit() else (1, 0, token) for token in _TOKENS.findall(text)]
