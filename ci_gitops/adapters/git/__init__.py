"""Git: a remote repository read and written as objects, without a work tree."""

from ci_gitops.adapters.git.checkout import (
    Checkout,
    checkout_origin,
    commit_of,
    configured_person,
    find_checkout,
    uncommitted,
)
from ci_gitops.adapters.git.create import commit_folder, create_bare
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
    "Checkout",
    "CommitInfo",
    "Entry",
    "GitAccess",
    "Merged",
    "Person",
    "PushOutcome",
    "RefUpdate",
    "Repository",
    "SigningKey",
    "checkout_origin",
    "commit_folder",
    "commit_of",
    "configured_person",
    "create_bare",
    "find_checkout",
    "uncommitted",
]
