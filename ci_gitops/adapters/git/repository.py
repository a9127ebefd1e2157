"""A remote repository, read and written as objects through a private bare repository."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ci_gitops.adapters.git import history, objects
from ci_gitops.adapters.git.failures import Failures
from ci_gitops.adapters.git.private import PrivateFolder
from ci_gitops.adapters.git.records import (
    SUBMODULE,
    SYMLINK,
    CommitInfo,
    Entry,
    GitAccess,
    Merged,
    Person,
    PushOutcome,
    RefUpdate,
    SigningKey,
)
from ci_gitops.adapters.git.runner import Runner
from ci_gitops.adapters.git.transfer import Transfer, ref_of
from ci_gitops.core.git_paths import link_target
from ci_gitops.core.git_refs import full_ref, is_object_id, shared_ref
from ci_gitops.core.git_urls import GitUrl, parse_git_url
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.whole_files import WholeFile
from ci_gitops.errors import GitError, RefusedError

if TYPE_CHECKING:
    from ci_gitops.adapters.git.signing import Signer

_STEPS = (50, 450, 4_500)  # how many commits more are fetched to find where two histories meet
_MOST_COMMITS = 1_000  # of a branch of ours that are looked at
_LINKS = 16  # how many links in a row are followed


class Repository:
    """Use as a context manager: at its end nothing is left on this machine."""

    def __init__(
        self,
        url: GitUrl,
        access: GitAccess,
        *,
        progress: Callable[[str], None] | None = None,
        trace: Callable[[str], None] | None = None,
        timeout: float = 100.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self.access = access
        self._progress = progress or (lambda line: None)
        self._folder = PrivateFolder(url, access)
        try:
            self._runner = Runner(self._folder, url, access, timeout=timeout, trace=trace)
        except BaseException:  # a person may interrupt here too
            self._folder.close()
            raise
        self._transfer = Transfer(self._runner, self._folder, Failures(url, access), wait)
        self._trees: dict[str, dict[str, Entry]] = {}
        self._signer: Signer | None = None
        self._fresh: dict[str, str] = {}  # heads that came with the default branch, not asked for yet
        self._heads: dict[str, str] = {}  # what was fetched last, by ref

    @classmethod
    def open(
        cls,
        url: str,
        access: GitAccess,
        *,
        progress: Callable[[str], None] | None = None,
        trace: Callable[[str], None] | None = None,
        timeout: float = 100.0,
    ) -> Self:
        """A repository by its address; nothing is asked of the server yet.

        `timeout` (seconds) bounds each conversation. `progress` gets lines for people, `trace` each command.
        """
        return cls(parse_git_url(url), access, progress=progress, trace=trace, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        try:
            if self._signer:
                self._signer.close()
        finally:
            self._folder.close()

    # What the server has

    def default_branch(self) -> str:
        """The name of the branch that HEAD stands for."""
        refs, head = self._transfer.refs("HEAD", symbolic=True)
        if head is None or not head.startswith("refs/heads/"):
            raise self._no_default(empty=not refs)
        return head.removeprefix("refs/heads/")

    def fetch_default(self) -> str:
        """The name of the default branch.

        As the first conversation it brings the branch's head along: the next `fetch` of it asks nobody.
        """
        if not self._folder.empty:
            return self.default_branch()
        self._progress(f"Fetching {self.url.clean}")
        ref, sha = self._transfer.fetch_default()
        if ref is None or sha is None or not ref.startswith("refs/heads/"):
            raise self._no_default(empty=sha is None)
        self._fresh[ref] = sha
        return ref.removeprefix("refs/heads/")

    def _no_default(self, *, empty: bool) -> GitError:
        state = "it is empty" if empty else "its HEAD names no branch"
        return GitError(f"{self.url.clean} has no default branch: {state}.", hint="Give one with --branch.")

    def remote_refs(self, *patterns: str) -> dict[str, str]:
        """Ref names and their commits as they are on the server now; patterns as `git ls-remote` takes them."""
        return self._transfer.refs(*patterns)[0]

    def fetch(self, branch_or_ref: str) -> str:
        """The head of a branch (or a full ref, HEAD, or a commit's id), brought here without its history.

        The same again brings what has come since: commits and contents, in one conversation.
        """
        ref = ref_of(branch_or_ref)
        sha = self._fresh.pop(ref, None)
        if sha is None:
            self._progress(f"Fetching {branch_or_ref} of {self.url.clean}")
            sha = self._transfer.fetch(ref, again=ref in self._heads)
        if sha is None:
            raise self._unknown(branch_or_ref, ref)
        self._heads[ref] = sha
        return sha

    def read_refs(self, refs: Sequence[str], path: str) -> dict[str, tuple[str, bytes | None]]:
        """For each ref its commit and the contents of one file there, all in one conversation."""
        shas = self._transfer.fetch_whole([full_ref(ref) for ref in refs]) if refs else {}
        contents = objects.read_named(self._runner, [f"{sha}:{path}" for sha in shas.values()])
        return {ref: (sha, content) for (ref, sha), content in zip(shas.items(), contents, strict=True)}

    def _unknown(self, name: str, ref: str) -> GitError:
        if is_object_id(ref):
            return GitError(f"{self.url.clean} has no commit {ref}, or does not hand it out.")
        known = self.remote_refs("refs/heads/*")
        if not known:
            return GitError(f"{self.url.clean} is empty.", hint="Push a first commit to it.")
        what = "branch" if ref.startswith("refs/heads/") else "ref"
        names = [branch.removeprefix("refs/heads/") for branch in known]
        return GitError(f"{self.url.clean} has no {what} {name!r}.", hint=did_you_mean(name, names, "Branches"))

    # Reading

    def tree_id(self, revision: str) -> str:
        """The name of all that the revision holds: another commit with the same files has the same."""
        return objects.tree_id(self._runner, self._checked(revision))

    def paths(self, revision: str) -> tuple[str, ...]:
        """Each path of the revision's tree, sorted as Git sorts."""
        return tuple(self._tree(revision))

    def entry(self, revision: str, path: str) -> Entry | None:
        """Mode and object id of one file, not following links."""
        return self._tree(revision).get(path)

    def read(self, revision: str, paths: Sequence[str]) -> dict[str, bytes]:
        """The contents of files, fetched in one conversation.

        What is not there, is a folder or leads out of the tree is left out. Symbolic links are followed
        inside the tree only.
        """
        resolved = {path: self.resolve(revision, path) for path in paths}
        tree = self._tree(revision)
        oids = {path: tree[target].oid for path, target in resolved.items() if target}
        contents = self._contents(list(dict.fromkeys(oids.values())))
        return {path: contents[oid] for path, oid in oids.items()}

    def whole(self, revision: str, paths: Sequence[str]) -> dict[str, WholeFile]:
        """Files as Git holds them: a symbolic link is the path that it names. Submodules are left out."""
        tree = self._tree(revision)
        there = {path: tree[path] for path in paths if path in tree and tree[path].mode != SUBMODULE}
        contents = self._contents(list(dict.fromkeys(entry.oid for entry in there.values())))
        return {path: WholeFile(entry.mode, contents[entry.oid]) for path, entry in there.items()}

    def resolve(self, revision: str, path: str) -> str | None:
        """The path of the file that `path` stands for after symbolic links, or None: that is the one to write."""
        *_, last = ("", *self.trail(revision, path))
        entry = self._tree(revision).get(last)
        return last if entry and entry.mode.startswith("100") else None

    def trail(self, revision: str, path: str) -> tuple[str, ...]:
        """The symbolic links on the way to the file that `path` stands for, and the file itself where there is one."""
        tree = self._tree(revision)
        passed: list[str] = []
        for _ in range(_LINKS):
            entry = tree.get(path)
            if entry and entry.mode.startswith("100"):
                return (*passed, path)
            link = path if entry else self._link_above(tree, path)
            if link is None or tree[link].mode != SYMLINK:
                break
            passed.append(link)
            text = self._contents([tree[link].oid])[tree[link].oid].decode("utf-8", "surrogateescape")
            target = link_target(link, text)
            if target is None:
                break
            path = target + path[len(link) :] if target != "." else path[len(link) + 1 :]
        return tuple(passed)

    @staticmethod
    def _link_above(tree: Mapping[str, Entry], path: str) -> str | None:
        parts = path.split("/")
        above = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return next((folder for folder in above if folder in tree), None)

    def _tree(self, revision: str) -> dict[str, Entry]:
        if revision not in self._trees:
            self._trees[revision] = objects.list_tree(self._runner, self._transfer, self._checked(revision))
        return self._trees[revision]

    def _contents(self, oids: Sequence[str]) -> dict[str, bytes]:
        found, missing = objects.read_blobs(self._runner, oids)
        if missing:
            self._transfer.fetch_objects(missing)
            more, still = objects.read_blobs(self._runner, missing)
            if still:
                raise GitError(f"{self.url.clean} does not hand out the object {still[0]}.")
            found |= more
        return found

    @staticmethod
    def _checked(revision: str) -> str:
        if not is_object_id(revision):
            raise GitError(f"{revision!r} is not the id of a commit.")
        return revision

    # Writing

    def commit(
        self,
        parents: Sequence[str],
        files: Mapping[str, bytes | WholeFile | None],
        message: str,
        *,
        author: Person,
        committer: Person,
        base: str | None = None,
        sign: SigningKey | None = None,
    ) -> str:
        """A new commit here (not yet on the server): the tree of `base` (default: the first parent) with
        `files` replaced or, where None, taken out. A file that is given by its content keeps its mode; a symbolic link
        is not written through, but may be put in the place of what is there.
        """
        base = base or (parents[0] if parents else None)
        tree = self._tree(base) if base and files else {}
        checked = [self._checked(parent) for parent in parents]
        when = int(time.time())
        sha, made = objects.make_commit(
            self._runner, tree, base, checked, files, message, author=author, committer=committer, when=when
        )
        if sign is None:
            return sha
        signer = self._signer_for(sign)
        return signer.sign(made, checked, message, author=author, committer=committer, when=when)

    def _signer_for(self, key: SigningKey) -> Signer:
        from ci_gitops.adapters.git.signing import Signer

        if self._signer is None:
            self._signer = Signer(self._runner, self._folder, key, self._runner.local_environment)
        if self._signer.key != key:
            raise GitError("One repository signs with one key only.")
        return self._signer

    def may_push(self, commit: str, ref: str) -> None:
        """Raise where we may not push `ref`; nothing is pushed. Protection and hooks show in a real push only."""
        self._transfer.may_push(commit, full_ref(ref))

    def push(self, updates: Sequence[RefUpdate], *, options: Sequence[str] = ()) -> PushOutcome:
        """Move refs on the server, all or none.

        Raises RefusedError in the server's words where a hook or protection says no, TemporaryError
        where the server is away. A push that lost a race is an outcome, not an error.
        """
        for update in updates:
            full_ref(update.ref)
            self._guard(update)
        return self._transfer.push(updates, options)

    def _guard(self, update: RefUpdate) -> None:
        """A lease lets Git rewrite a branch; a shared one is only ever moved forward."""
        if not update.expected or not shared_ref(update.ref):
            return
        if not update.new or self.is_ancestor(update.expected, update.new) is not True:
            raise RefusedError(
                f"{update.ref} is shared: it is not rewritten or deleted.",
                hint="This would lose the commits of others; only branches below ci-gitops/ are rewritten.",
            )

    def merge(
        self,
        ours: str,
        theirs: str,
        message: str,
        *,
        author: Person,
        committer: Person,
        squash: bool = False,
        sign: SigningKey | None = None,
    ) -> Merged:
        """Git's merge of two commits as a new commit on `ours` (with `squash`: with that parent alone).

        Conflicts are an outcome. Where `ours` holds `theirs` already, it is `ours` itself.
        """
        if self.is_ancestor(theirs, ours):
            return Merged(ours)
        self._with_merge_base(ours, theirs)
        tree, conflicts = objects.merge_trees(self._transfer, ours, theirs)
        if conflicts:
            return Merged(None, conflicts)
        parents = [ours] if squash else [ours, theirs]
        return Merged(self.commit(parents, {}, message, author=author, committer=committer, base=tree, sign=sign))

    def _with_merge_base(self, ours: str, theirs: str) -> None:
        for count in _STEPS:
            if history.merge_base(self._runner, ours, theirs) or not history.shallow_roots(self._folder):
                return
            self._transfer.deepen((ours, theirs), count, "blob:none")
        if not history.merge_base(self._runner, ours, theirs):
            raise GitError(f"{ours[:12]} and {theirs[:12]} have no common history in their newest commits.")

    # History

    def log(self, revision: str, limit: int, paths: Sequence[str] | None = None) -> list[CommitInfo]:
        """The newest `limit` commits of the history that is here; `shallow` marks where it ends too early."""
        return history.log(self._runner, self._folder, self._checked(revision), limit, paths)

    def only_in(self, head: str, base: str) -> list[CommitInfo]:
        """The commits of `head` that `base` does not hold, newest first; history is fetched as far as that takes."""
        self._with_merge_base(base, head)
        return history.log(self._runner, self._folder, self._checked(head), _MOST_COMMITS, None, without=base)

    def touching(self, paths: Sequence[str], head: str, base: str) -> list[CommitInfo]:
        """The commits of `head` that `base` does not hold and that change one of `paths`, newest first."""
        self._with_merge_base(base, head)
        return history.log(
            self._runner, self._folder, self._checked(head), _MOST_COMMITS, paths, without=base,
            run=self._transfer.fetching,
        )  # fmt: skip

    def changed_paths(self, head: str, base: str) -> tuple[str, ...]:
        """The files that `head` changes since it left the history of `base`."""
        return objects.changed_paths(self._transfer, self.fork(head, base), head)

    def fork(self, head: str, base: str) -> str:
        """The commit at which `head` left the history of `base`."""
        self._with_merge_base(base, head)
        return history.merge_base(self._runner, base, head) or base

    def deepen(self, branch: str, count: int) -> bool:
        """Bring up to `count` older commits of a fetched branch here, without their files; False where none came."""
        head = self._heads.get(ref_of(branch)) or self.fetch(branch)
        roots = history.shallow_roots(self._folder)
        if not roots:
            return False
        self._transfer.deepen((head,), count, "tree:0")
        return history.shallow_roots(self._folder) != roots

    def is_ancestor(self, old: str, new: str) -> bool | None:
        """Whether `new` holds `old`. Older history is fetched as far as that takes; None where it is not found."""
        for commit in (self._checked(old), self._checked(new)):
            if not history.is_here(self._runner, commit):
                self.fetch(commit)
        for count in (0, *_STEPS):
            if count:
                self._transfer.deepen((new,), count, "tree:0")
            answer = history.is_ancestor(self._runner, self._folder, old, new)
            if answer is not None:
                return answer
        return None
