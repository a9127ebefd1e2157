"""Git: a remote repository read and written as objects, without a work tree."""

from ci_gitops.adapters.git.records import (
    CommitInfo,
    Entry,
    GitAccess,
    Merged,
    Person,
    PushOutcome,
    RefUpdate,
    SigningKey,
)
from ci_gitops.adapters.git.repository import Repository

__all__ = [
    "CommitInfo",
    "Entry",
    "GitAccess",
    "Merged",
    "Person",
    "PushOutcome",
    "RefUpdate",
    "Repository",
    "SigningKey",
]
