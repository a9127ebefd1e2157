"""The conversations with the server: what it has, fetching commits and contents, pushing refs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

from ci_gitops.adapters.git.failures import Failures
from ci_gitops.adapters.git.private import QUIET, REMOTE, PrivateFolder
from ci_gitops.adapters.git.reach import check_reachable
from ci_gitops.adapters.git.records import PushOutcome, RefUpdate
from ci_gitops.adapters.git.runner import Runner
from ci_gitops.adapters.process import Completed
from ci_gitops.core.git_messages import Rejection, judge, rejections, server_lines, trouble
from ci_gitops.core.git_refs import full_ref, is_object_id
from ci_gitops.errors import GitError, RefusedError, TemporaryError

_TRIES = 3
_AGAIN = "Run the same command again: it goes on from what is there then."
_FETCH = (
    "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules",
    "--refmap=",
)  # fmt: skip


class Transfer:
    """One server, spoken to in few and bounded conversations."""

    def __init__(
        self, runner: Runner, folder: PrivateFolder, failures: Failures, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._runner = runner
        self._folder = folder
        self._failures = failures
        self._wait = wait
        self._reached = False

    def refs(self, *patterns: str, symbolic: bool = False) -> tuple[dict[str, str], str | None]:
        """The refs that match, and with `symbolic` the one that HEAD stands for."""
        words = ["ls-remote", "--quiet", *(["--symref"] if symbolic else []), "--end-of-options", REMOTE, *patterns]
        done = self._repeated(*words)
        if done.code != 0:
            raise self._failures.error(done)
        refs: dict[str, str] = {}
        head = None
        for line in done.text.splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: "):
                head = value.removeprefix("ref: ")
            elif not name.endswith("^{}"):
                refs[name] = value
        return refs, head

    def fetch(self, source: str, *, again: bool = False) -> str | None:
        """Bring the commit of a ref (or an object id) here; None where the server has no such ref."""
        where = f"refs/{REMOTE}/" + (f"ids/{source}" if is_object_id(source) else source.removeprefix("refs/"))
        amount = ["--no-filter"] if again else ["--depth=1", "--filter=blob:none"]
        words = [*_FETCH, *amount, "--end-of-options", REMOTE, f"+{source}:{where}"]
        done = self._repeated(*words)
        if done.code != 0 and trouble(done.errors) == "hashes":
            self._folder.use_sha256()
            done = self._repeated(*words)
        if done.code != 0:
            if trouble(done.errors) == "ref-missing":
                return None
            raise self._failures.error(done)
        if source.startswith("refs/tags/"):  # perhaps an object of its own, which names the commit
            return self._runner.local("rev-parse", "--verify", "--end-of-options", f"{where}^{{commit}}").text.strip()
        # Read from the file: `git rev-parse` would be a process more.
        return (self._folder.repository / where).read_text().strip()

    def fetch_default(self) -> tuple[str | None, str | None]:
        """The ref that HEAD stands for and its commit, brought here in one conversation: only a clone can do that.

        It replaces what is here, so it is for the first conversation. None, None: the server has nothing.
        """
        place = self._folder.path / "clone.git"
        words = ["clone", "--quiet", "--bare", "--no-local", "--single-branch", "--no-tags", "--depth=1"]
        words += ["--filter=blob:none", "--template=", "--end-of-options", self._folder.address, str(place)]
        done = self._repeated(*words)
        if done.code != 0:
            raise self._failures.error(done)
        packed = place / "packed-refs"
        lines = packed.read_text().splitlines() if packed.exists() else []
        refs = dict(line.split(" ")[::-1] for line in lines if line.count(" ") == 1)
        head = (place / "HEAD").read_text().strip().removeprefix("ref: ")
        self._folder.adopt(place, hashes="sha256" if any(len(sha) == 64 for sha in refs.values()) else "sha1")
        return (head, refs[head]) if head in refs else (None, next(iter(refs.values()), None))

    def fetch_whole(self, refs: Sequence[str]) -> dict[str, str]:
        """Bring the newest commit of each of these refs here with all that it holds, in one conversation."""
        places = {ref: f"refs/{REMOTE}/{ref.removeprefix('refs/')}" for ref in refs}
        wanted = "".join(f"+{ref}:{place}\n" for ref, place in places.items()).encode()
        done = self._repeated(*_FETCH, "--depth=1", "--no-filter", "--stdin", REMOTE, stdin=wanted)
        if done.code != 0:
            raise self._failures.error(done)
        return {ref: (self._folder.repository / place).read_text().strip() for ref, place in places.items()}

    def deepen(self, commits: Sequence[str], count: int, objects: str) -> None:
        """Bring `count` commits more of the histories of these commits here."""
        words = [*_FETCH, f"--deepen={count}", f"--filter={objects}", "--end-of-options", REMOTE, *commits]
        done = self._repeated(*words)
        if done.code != 0:
            raise self._failures.error(done)

    def fetch_objects(self, oids: Sequence[str]) -> None:
        """Bring these contents here, all in one conversation (Git by itself would ask for each one)."""
        words = ["-c", "fetch.negotiationAlgorithm=noop", *_FETCH, "--filter=blob:none", "--stdin", REMOTE]
        done = self._repeated(*words, stdin="".join(f"{oid}\n" for oid in oids).encode())
        if done.code != 0:
            raise self._failures.error(done)

    def push(self, updates: Sequence[RefUpdate], options: Sequence[str]) -> PushOutcome:
        """Move refs, all or none. A lost answer is looked up: what counts is what the server has now."""
        words = ["push", "--porcelain", "--no-verify", "--no-progress"]
        words += ["--atomic"] if len(updates) > 1 else []
        words += [f"--push-option={option}" for option in options]
        words += [
            f"--force-with-lease={update.ref}:{update.expected}" for update in updates if update.expected is not None
        ]
        words += ["--end-of-options", REMOTE, *(f"{update.new}:{update.ref}" for update in updates)]
        for done, last in self._attempts(words):
            if done.code == 0:
                return PushOutcome(True, messages=server_lines(done.errors))
            rejected = rejections(done.text)
            if rejected:
                return self._rejected(rejected, done, updates)
            if trouble(done.errors) != "temporary":
                raise self._failures.error(done)
            if self._arrived(updates):
                return PushOutcome(True, messages=server_lines(done.errors))
            if last:
                raise self._failures.error(done)
        raise AssertionError("the last attempt returns or raises")

    def may_push(self, commit: str, ref: str) -> None:
        """Ask for the right to push, and push nothing: raises where the server does not open the way.

        Protection and hooks are only asked by a real push.
        """
        done = self._repeated(
            "push", "--dry-run", "--porcelain", "--no-verify", "--end-of-options", REMOTE, f"{commit}:{ref}"
        )
        if done.code != 0 and not rejections(done.text):
            raise self._failures.error(done)

    def _rejected(self, rejected: Sequence[Rejection], done: Completed, updates: Sequence[RefUpdate]) -> PushOutcome:
        lines = server_lines(done.errors)
        verdict, cause = judge(rejected, lines)
        said = ": ".join(text for text in (cause.reason, " ".join(lines).rstrip(".")) if text)
        if verdict == "raced":
            # Where a connection broke, the transport may have sent our push twice: then we raced with ourselves.
            ours = any(update.new and update.new in said for update in updates)
            landed = ours and self._arrived(updates)
            return PushOutcome(landed, None if landed else cause.reason, lines)
        if verdict == "unavailable":
            raise TemporaryError(f"The push to {cause.ref} did not go through: {said}.", hint="Try again.")
        if verdict == "never-free":
            raise GitError(
                f"{cause.ref} cannot be made: {said}.", hint="A branch cannot lie below the name of another branch."
            )
        raise RefusedError(
            f"{self._failures.url.clean} refused the push to {cause.ref}: {said}.",
            hint="This is a rule of the server (protection, hook or rights); trying again does not help.",
        )

    def _arrived(self, updates: Sequence[RefUpdate]) -> bool:
        refs, _ = self.refs(*(update.ref for update in updates))
        return all(refs.get(update.ref, "") == update.new for update in updates)

    def fetching(self, *words: str, ok: tuple[int, ...] = (0,)) -> Completed:
        """A command on the private repository that may fetch what it lacks, object by object."""
        done = self._repeated(*words, ok=ok)
        if done.code not in ok:
            raise self._failures.error(done)
        return done

    def _repeated(self, *words: str, stdin: bytes = b"", ok: tuple[int, ...] = (0,)) -> Completed:
        """A reading command: tried again where the trouble may pass."""
        for done, last in self._attempts(words, stdin):
            if last or done.code in ok or trouble(done.errors) != "temporary":
                return done
        raise AssertionError("the last attempt returns")

    def _attempts(self, words: Sequence[str], stdin: bytes = b"") -> Iterator[tuple[Completed, bool]]:
        """Run a command up to three times with pauses between; and whether that was the last time.

        All of them together take no longer than the timeout.
        """
        bound = self._runner.timeout
        if not self._reached:
            check_reachable(self._failures.url, self._runner.remote_environment, min(QUIET, bound))
            self._reached = True
        deadline = time.monotonic() + bound
        for number in range(1, _TRIES + 1):
            try:
                done = self._runner.remote(*words, stdin=stdin, timeout=max(0.1, deadline - time.monotonic()))
            except TemporaryError as error:
                where = self._failures.url.clean
                raise TemporaryError(f"{where} did not finish its answer in {bound:.0f} s.", hint=_AGAIN) from error
            pause = random.uniform(0.5, 2.0)  # noqa: S311 - jitter
            last = number == _TRIES or time.monotonic() + pause > deadline
            yield done, last
            self._wait(pause)


def ref_of(name: str) -> str:
    """The full ref for a branch's name, a ref or an object id."""
    return name if is_object_id(name) else full_ref(name)
