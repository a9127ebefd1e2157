"""What Git and its servers say, sorted into the few things that a caller can act on.

The wordings are those of Git with `LC_ALL=C`, of GitLab and of GitHub; a refused push is read from
`git push --porcelain`, whose lines are `<flag>\\t<from>:<to>\\t<summary>`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ci_gitops.core.text import plain

Trouble = Literal[
    "disk-full",
    "program-missing",
    "key-broken",
    "credentials-missing",
    "credentials-wrong",
    "forbidden",
    "not-found",
    "ref-missing",
    "certificate",
    "host-key-unknown",
    "host-key-changed",
    "redirected",
    "hashes",
    "temporary",
    "other",
]

# First match counts; the more special wording comes first.
_WORDINGS: dict[Trouble, str] = {
    "disk-full": r"(?m)^(?!remote:).*No space left on device",
    "program-missing": r"cannot run ssh",
    "key-broken": r"Load key .*: (?:error in libcrypto|invalid format|incorrect passphrase)",
    "host-key-changed": r"REMOTE HOST IDENTIFICATION HAS CHANGED",
    "host-key-unknown": r"Host key verification failed|No \S+ host key is known",
    "hashes": r"mismatched algorithms|unsupported object format|unknown object format",
    "ref-missing": r"couldn't find remote ref|not our ref|Server does not allow request for unadvertised object",
    "redirected": r"unable to update url base from redirection",
    "certificate": (
        r"certificate verification failed|SSL certificate problem|certificate verify failed|"
        r"certificate has expired|does not match target host|no alternative certificate subject name|"
        r"error setting certificate"
    ),
    "credentials-missing": r"could not read (?:Username|Password)|unable to read askpass",
    "credentials-wrong": (r"Authentication failed|HTTP Basic: Access denied|Permission denied \(|returned error: 401"),
    "forbidden": (
        r"returned error: 403|not allowed to (?:push|upload|download)|Permission to .* denied|"
        r"Write access to repository not granted|insufficient permission for"
    ),
    "not-found": (
        r"repository '.*' (?:not found|does not exist)|Repository not found|does not appear to be a git repository|"
        r"returned error: 404|could not be found|not found or you don't have permission"
    ),
    "temporary": (
        r"returned error: (?:429|5\d\d)|HTTP (?:429|5\d\d)|Could not resolve (?:host|proxy)|Failed to connect|"
        r"Couldn't connect|Connection (?:refused|reset|timed out|closed)|Operation (?:timed out|too slow)|timed out|"
        r"Empty reply|early EOF|hung up unexpectedly|RPC failed|No route to host|Network is unreachable|"
        r"Recv failure|Send failure|gnutls_handshake|TLS connection was non-properly terminated|transfer closed|"
        r"unexpected disconnect|kex_exchange|Name or service not known|Temporary failure in name resolution|"
        r"unexpectedly said|expected flush after|API is not accessible|Internal API|unable to handle this request|"
        r"exchange_identification"
    ),
}

# Another push was first. `cannot lock ref` is worded by Git's own server (and GitHub's), `incorrect old
# value provided` by GitLab's.
_RACED = re.compile(
    r"fetch first|non-fast-forward|stale info|cannot lock ref|incorrect old value provided|failed to update ref|"
    r"reference already exists|failed to lock|updated since checkout|is at [0-9a-f]+ but expected"
)
_NEVER_FREE = re.compile(r"exists; cannot create|there is a non-empty directory")  # a/b beside a: no wait helps
_ATOMIC = re.compile(r"atomic (?:push|transaction)")
_UNAVAILABLE = re.compile(r"(?i)API is not accessible|internal api (?:unreachable|error)|service unavailable")
_EMPTY_WORDS = re.compile(
    r"fatal: Could not read from remote|Please make sure you have the correct|and the repository exists"
)
_ADDRESS = re.compile(r"^unable to access '[^']*': ")
_SERVER_LINE = re.compile(r"^remote: ?(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One ref that a push did not move, and the reason that the server (or Git before it) gave."""

    ref: str
    reason: str


Verdict = Literal["raced", "never-free", "unavailable", "refused"]


def judge(rejected: Sequence[Rejection], lines: Sequence[str]) -> tuple[Verdict, Rejection]:
    """Why a push was rejected, and the ref that it failed at; `lines` is what the server said beside.

    In an atomic push each ref is rejected since one was: then only `lines` tell the reason.
    """
    words = " ".join(lines)
    causes = [rejection for rejection in rejected if not _ATOMIC.search(rejection.reason)]
    if any(_NEVER_FREE.search(text) for text in (words, *(cause.reason for cause in causes))):
        return "never-free", (causes or rejected)[0]
    if not causes:
        return ("raced" if not words or _RACED.search(words) else "refused"), rejected[0]
    others = [cause for cause in causes if not _RACED.search(cause.reason)]
    if not others:
        return "raced", causes[0]
    return ("unavailable" if _UNAVAILABLE.search(words) else "refused"), others[0]


def trouble(stderr: str) -> Trouble:
    """What kind of trouble a failed fetch, ls-remote or push is in."""
    for kind, wording in _WORDINGS.items():
        if re.search(wording, stderr):
            return kind
    return "other"


def rejections(porcelain: str) -> list[Rejection]:
    """The rejected refs of `git push --porcelain`."""
    rejected = []
    for line in porcelain.splitlines():
        flag, _, rest = line.partition("\t")
        names, _, summary = rest.partition("\t")
        if flag == "!" and summary:
            rejected.append(Rejection(names.rpartition(":")[2], plain(summary)))
    return rejected


def server_lines(stderr: str) -> tuple[str, ...]:
    """What the server itself said (`remote: …`), without escape sequences and empty lines."""
    lines = (plain(line).strip() for line in _SERVER_LINE.findall(stderr.replace("\r", "\n")))
    return tuple(line for line in lines if line)


def reason(stderr: str) -> str:
    """The one line of Git's answer that tells most, without its prefix, the address and the full stop."""
    lines = [plain(line).strip() for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if not _EMPTY_WORDS.match(line)] or lines
    for mark in ("ssh: ", "fatal: ", "error: "):
        for line in telling:
            if line.startswith(mark):
                return _ADDRESS.sub("", line.removeprefix(mark)).rstrip(".")
    return telling[-1].rstrip(".") if telling else "no reason given"
