"""Addresses of Git repositories: taken apart before Git sees them, so that none can act as an option or a helper."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass

from ci_gitops.errors import UsageError

_SCHEMES = {"https": 443, "http": 80, "ssh": 22, "git+ssh": 22, "ssh+git": 22, "file": None}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")  # `ext::sh -c …` would run a program
_SCP = re.compile(r"(?:(?P<user>[^@/:\s]+)@)?(?P<host>\[[^\]]+\]|[^@/:\s\[\]]+):(?P<path>[^/].*|/.*)")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?")
_USER = re.compile(r"[A-Za-z0-9_.+$@%~][A-Za-z0-9_.+$@%~-]*")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class GitUrl:
    """One address; `clean` is what Git gets and what may be shown: it never holds a password."""

    scheme: str  # https, http, ssh, file
    host: str  # lower case; "" for file
    port: int | None  # None: the scheme's own
    path: str  # relative only where an SSH address says so
    user: str | None
    password: str | None

    @property
    def remote(self) -> bool:
        return self.scheme != "file"

    @property
    def authority(self) -> str:
        """`host` or `host:port`, as Git names it when it asks for a password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host

    @property
    def clean(self) -> str:
        if not self.remote:
            return self.path
        user = f"{self.user}@" if self.scheme == "ssh" and self.user else ""
        if not self.path.startswith("/"):  # relative to the user's home: only this form can say it
            return f"{user}{self.authority}:{self.path}"
        return f"{self.scheme}://{user}{self.authority}{self.path}"

    def __repr__(self) -> str:
        return f"GitUrl({self.clean!r})"


def parse_git_url(text: str) -> GitUrl:
    """`https://`, `http://`, `ssh://` and `file://` addresses, `user@host:path`, or a path on this machine.

    Raises UsageError for anything else, and for what Git would take for an option or a remote helper.
    """
    if not text or text.startswith("-") or _HELPER.match(text):
        raise _bad(text, "it is none of https://, ssh://, user@host:path, file:// or a path")
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise _bad(text, "it holds a control character")
    scheme = _SCHEME.match(text)
    if scheme:
        return _with_scheme(text, scheme[1].lower())
    scp = _SCP.fullmatch(text)
    if scp and not text.startswith(("/", "./", "../", "~")):
        return _remote(text, "ssh", scp["host"].strip("[]"), None, scp["path"], scp["user"], None)
    return GitUrl("file", "", None, text, None, None)


def _with_scheme(text: str, scheme: str) -> GitUrl:
    if scheme not in _SCHEMES:
        raise _bad(text, f"{scheme}:// is not supported; use https://, ssh:// or a path")
    try:
        parts = urllib.parse.urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _bad(text, str(error)) from error
    if scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise _bad(text, "a file:// address names no host")
        return GitUrl("file", "", None, urllib.parse.unquote(parts.path), None, None)
    scheme = "ssh" if "ssh" in scheme else scheme
    user, password = (urllib.parse.unquote(value) if value else None for value in (parts.username, parts.password))
    if scheme == "ssh" and not parts.path.strip("/"):
        raise _bad(text, "the path of the repository is missing")
    if parts.query or parts.fragment:
        raise _bad(text, "it holds a '?' or '#'")
    return _remote(text, scheme, parts.hostname or "", port, parts.path, user, password)


def _remote(
    text: str, scheme: str, host: str, port: int | None, path: str, user: str | None, password: str | None
) -> GitUrl:
    if not _HOST.fullmatch(host):
        raise _bad(text, "the name of the host is missing or not valid")
    if scheme == "ssh" and user is not None and not _USER.fullmatch(user):
        raise _bad(text, "the name of the user is not valid")
    if _CONTROL.search(path) or path.startswith("-") or not (path.startswith("/") or scheme == "ssh"):
        raise _bad(text, "the path of the repository is not valid")
    return GitUrl(scheme, host.lower(), None if port == _SCHEMES[scheme] else port, path, user, password)


def _bad(text: str, why: str) -> UsageError:
    shown = re.sub(r"//[^/@]*@", "//", text)
    return UsageError(
        f"{shown!r} is not an address of a Git repository: {why}.",
        hint="Examples: https://git.example.com/group/config.git, git@git.example.com:group/config.git, ../config",
    )
