"""What goes into and comes out of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

REGULAR, EXECUTABLE, SYMLINK, SUBMODULE, TREE = "100644", "100755", "120000", "160000", "040000"


@dataclass(frozen=True, slots=True)
class Person:
    """Who wrote or committed."""

    name: str
    email: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


class Entry(NamedTuple):
    """One file of a tree; a tuple, since a tree may have ten thousand."""

    mode: str  # 100644, 100755, 120000 (symbolic link), 160000 (submodule)
    oid: str


@dataclass(frozen=True, slots=True)
class CommitInfo:
    sha: str
    parents: tuple[str, ...]  # none where `shallow`
    author: str
    email: str
    committer: Person
    time: int  # committer's time, seconds since 1970
    subject: str
    message: str
    shallow: bool  # the history that we have ends here, although the commit has parents: conclude nothing


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """`ref` is to be `new` ("" deletes it).

    `expected` None: must be a fast-forward; "": must not exist yet; a commit: must still be that one. A
    shared branch is only ever moved forward, whatever is expected; our own branches may be rewritten.
    """

    ref: str
    new: str
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """`landed`, or `raced`: another push was first (in the server's words); fetch and apply again."""

    landed: bool
    raced: str | None = None
    messages: tuple[str, ...] = ()  # what the server said, cleaned, without `remote:`


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge commit, or the paths that conflict."""

    sha: str | None
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """How commits are signed: by a GPG or SSH private key (its text)."""

    kind: Literal["gpg", "ssh"]
    text: str = field(repr=False)
    source: str = "CI_GITOPS_SIGNING_KEY"
    passphrase: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class GitAccess:
    """What opens one repository: credentials with the name of their source, certificates, host keys, signing."""

    user: str | None = None
    token: str | None = field(default=None, repr=False)
    source: str | None = None  # where the token or key came from, for messages
    ssh_key: str | None = field(default=None, repr=False)
    known_hosts: str = ""  # lines in the format of known_hosts
    known_hosts_files: tuple[Path, ...] = ()
    accept_new: bool = False  # an unknown SSH host is trusted
    ca_file: Path | None = None
    api_token: str | None = field(default=None, repr=False)  # for the forge's API, where Git itself uses a key
    api_source: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # PATH, HOME, proxies; else the process's
