"""Names of branches and refs, checked by Git's own rules before Git sees them."""

from __future__ import annotations

import re

from ci_gitops.errors import UsageError

# https://git-scm.com/docs/git-check-ref-format, rules 1 to 10
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: Branches that are ours alone; every other branch and each tag is shared and only ever moves forward.
OWN_BRANCHES = "refs/heads/ci-gitops/"


def is_object_id(text: str) -> bool:
    """40 (SHA-1) or 64 (SHA-256) hex digits."""
    return _OBJECT_ID.fullmatch(text) is not None


def valid_ref(name: str) -> bool:
    """Whether `name` may be a full ref name such as `refs/heads/main`."""
    parts = name.split("/")
    return (
        len(parts) > 1
        and not _FORBIDDEN.search(name)
        and not name.endswith(".")
        and all(part and not part.startswith(".") and not part.endswith(".lock") for part in parts)
    )


def branch_ref(branch: str) -> str:
    """`refs/heads/<branch>`; raises UsageError where Git does not allow the name."""
    ref = f"refs/heads/{branch}"
    if branch.startswith("-") or branch in ("@", "HEAD") or not valid_ref(ref):
        raise UsageError(
            f"{branch!r} is not a valid name of a branch.",
            hint="`git check-ref-format --branch NAME` tells which names Git allows.",
        )
    return ref


def full_ref(name: str) -> str:
    """A full ref name as it is, `HEAD`, or a branch's name made full."""
    if name == "HEAD":
        return name
    if not name.startswith("refs/"):
        return branch_ref(name)
    if not valid_ref(name):
        raise UsageError(f"{name!r} is not a valid name of a ref.")
    return name


def shared_ref(name: str) -> bool:
    """Whether others write this ref too: it must never be rewritten."""
    return name.startswith(("refs/heads/", "refs/tags/")) and not name.startswith(OWN_BRANCHES)
