"""A failed conversation with a server, said so that a person knows what to do: which host, which right, which key."""

from __future__ import annotations

from dataclasses import dataclass

from ci_gitops.adapters.git.records import GitAccess
from ci_gitops.adapters.process import Completed
from ci_gitops.core.git_messages import Trouble, reason, server_lines, trouble
from ci_gitops.core.git_urls import GitUrl
from ci_gitops.errors import CiGitopsError, GitError, TemporaryError
from ci_gitops.output import clean


@dataclass(frozen=True, slots=True)
class Failures:
    """Makes the errors of one repository."""

    url: GitUrl
    access: GitAccess

    def error(self, done: Completed) -> CiGitopsError:
        kind = trouble(done.errors)
        where = self.url.clean
        said = clean("; ".join(server_lines(done.errors)) or reason(done.errors))
        if kind == "temporary":
            return TemporaryError(f"{where} cannot be reached: {said}.", hint="Try again; nothing was written.")
        message, hint = self._message(kind)
        return GitError(f"{message} ({said})" if message else f"git failed at {where}: {said}", hint=hint)

    def _message(self, kind: Trouble) -> tuple[str, str | None]:
        where = self.url.clean
        if kind == "credentials-missing":
            return f"{where} wants credentials and there are none.", self._how()
        if kind == "credentials-wrong":
            which = self.access.source or "the SSH agent and the keys of this user"
            return f"{where} does not accept the credentials from {which}.", self._renew()
        if kind == "forbidden":
            which = self.access.source or "no credentials"
            return f"{where} refuses what was asked with {which}.", self._right()
        if kind == "not-found":
            return f"There is no repository at {where}, or the credentials may not see it.", self._unseen()
        if kind == "redirected":
            return f"{where} leads to another address that was not followed.", "Give the address that it leads to."
        if kind == "hashes":
            return f"{where} uses object names of another kind than this repository.", None
        return "", None

    def _how(self) -> str:
        if self.url.scheme == "ssh":
            return "Set GITLAB_ID_RSA to a private SSH key, its text or a path to it."
        return "Set CI_GITOPS_TOKEN to a token that may write the repository, or give --token-file."

    def _renew(self) -> str:
        if self.url.scheme == "ssh":
            return "Add its public half to the project as a deploy key with write access, or to a user who may push."
        return f"Check that the token has not expired and may do this; the user sent with it was {self.access.user!r}."

    def _right(self) -> str:
        if self.access.source == "CI_JOB_TOKEN":
            return (
                "A job token may push only where the project allows it (Settings > CI/CD > Job token permissions > "
                "Allow Git push requests) and only to its own project; else set CI_GITOPS_TOKEN."
            )
        if self.url.scheme == "ssh":
            return "The key needs write access: a deploy key with write permission, or a user who may push."
        return (
            "The token needs the right write_repository (GitLab) or contents: write (GitHub), and its owner may push."
        )

    def _unseen(self) -> str:
        if not self.url.remote:
            return "Check the path."
        which = f"the credentials from {self.access.source}" if self.access.source else "a token: none was given"
        return f"Check the address and {which}. Servers answer 'not found' where the right to read is missing."
