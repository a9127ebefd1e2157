"""History as far as it is here: a shallow root ends it, and nothing is concluded from such an end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ci_gitops.adapters.git.private import PrivateFolder
from ci_gitops.adapters.git.records import CommitInfo, Person
from ci_gitops.adapters.git.runner import Runner
from ci_gitops.adapters.process import Completed

_FIELDS = ("%H", "%P", "%an", "%ae", "%cn", "%ce", "%ct", "%B")


def shallow_roots(folder: PrivateFolder) -> frozenset[str]:
    """The commits whose parents exist but are not here."""
    try:
        return frozenset((folder.repository / "shallow").read_text().split())
    except FileNotFoundError:
        return frozenset()


def log(
    runner: Runner,
    folder: PrivateFolder,
    revision: str,
    limit: int,
    paths: Sequence[str] | None,
    without: str | None = None,
    run: Callable[..., Completed] | None = None,
) -> list[CommitInfo]:
    """The newest commits of `revision`, newest first; not those that `without` holds.

    Commits that came without their trees need a `run` that fetches them.
    """
    form = "%x00".join(_FIELDS)
    words = ["log", "-z", f"--format=tformat:{form}", f"--max-count={limit}", "--encoding=UTF-8", "--end-of-options"]
    pathspecs = [f":(top,literal){path}" for path in paths or ()]
    fields = (
        (run or runner.local)(*words, revision, *([f"^{without}"] if without else []), "--", *pathspecs)
        .stdout.decode("utf-8", "replace")
        .split("\0")
    )
    roots = shallow_roots(folder)
    each = len(_FIELDS)
    return [_commit(fields[at : at + each], roots) for at in range(0, len(fields) - each + 1, each)]


def _commit(fields: Sequence[str], roots: frozenset[str]) -> CommitInfo:
    sha, parents, author, email, committer, address, when, message = fields
    message = message.rstrip("\n")
    subject = message.split("\n", 1)[0]
    by = Person(committer, address)
    return CommitInfo(sha, tuple(parents.split()), author, email, by, int(when), subject, message, sha in roots)


def is_here(runner: Runner, commit: str) -> bool:
    return " missing" not in runner.local("cat-file", "--batch-check", stdin=f"{commit}\n".encode()).text


def merge_base(runner: Runner, ours: str, theirs: str) -> str | None:
    """Where two histories meet, as far as they are here."""
    return runner.local("merge-base", ours, theirs, ok=(0, 1)).text.strip() or None


def is_ancestor(runner: Runner, folder: PrivateFolder, old: str, new: str) -> bool | None:
    """Whether the history of `new` holds `old`; None where it ends at a shallow root before that is known."""
    if runner.local("merge-base", "--is-ancestor", old, new, ok=(0, 1)).code == 0:
        return True
    roots = shallow_roots(folder)
    reached = runner.local("rev-list", "--end-of-options", new).text.split() if roots else []
    return None if roots & set(reached) else False
