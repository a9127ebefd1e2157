"""A failed conversation with a server, said so that a person knows what to do: which host, which right, which key."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass

from ci_gitops.adapters.git.certificates import certificate_trouble
from ci_gitops.adapters.git.records import GitAccess
from ci_gitops.adapters.git.ssh import offered_host_key
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
        said = clean("; ".join(server_lines(done.errors)) or reason(done.errors)).rstrip(".")
        if kind == "temporary":
            spelling = "Is the host's name spelt right? " if "resolve host" in said else ""
            return TemporaryError(f"{where} cannot be reached: {said}.", hint=f"{spelling}Try again later.")
        if kind in ("host-key-unknown", "host-key-changed"):
            return self._host_key(kind)
        if kind == "certificate":
            return self._certificate()
        message, hint = self._message(kind)
        return GitError(f"{message.rstrip('.')} ({said})." if message else f"git failed at {where}: {said}", hint=hint)

    def _host_key(self, kind: Trouble) -> CiGitopsError:
        host = self.url.authority
        if kind == "host-key-changed":
            return GitError(
                f"{host} shows another host key than the known one: somebody may be in between, or it was renewed.",
                hint="Ask who runs the host; then replace its line in SSH_KNOWN_HOSTS or ~/.ssh/known_hosts.",
            )
        offered = offered_host_key(self.url, self.access.environment or os.environ)
        if offered is None:
            return GitError(f"The host key of {host} is not known.", hint="Set SSH_KNOWN_HOSTS to its host key's line.")
        line, fingerprint = offered
        return GitError(
            f"The host key of {host} is not known. The host shows one with the fingerprint {fingerprint}.",
            hint="Compare the fingerprint with what who runs the host says, then add this line to SSH_KNOWN_HOSTS:\n"
            f"  {line}",
        )

    def _certificate(self) -> CiGitopsError:
        why = certificate_trouble(self.url.host, self.url.port or 443, self.access.ca_file)
        given = f" besides those of {self.access.ca_file}" if self.access.ca_file else ""
        unknown = (
            "Give the certificate of the authority that signed it: --ca-file, CI_SERVER_TLS_CA_FILE or SSL_CERT_FILE"
            f"{given}."
        )
        own_fault = why and ("expired" in why or "mismatch" in why)
        hint = "The server's certificate must be renewed for the name that is asked for." if own_fault else unknown
        return GitError(
            f"The certificate of {self.url.authority} is not trusted: {why or 'unknown authority'}.", hint=hint
        )

    def _message(self, kind: Trouble) -> tuple[str, str | None]:
        where = self.url.clean
        if kind == "credentials-missing":
            return f"{where} wants credentials and there are none", self._how()
        if kind == "credentials-wrong":
            which = self.access.source or "the SSH agent and the keys of this user"
            return f"{where} does not accept the credentials from {which}", self._renew()
        if kind == "forbidden":
            which = self.access.source or "no credentials"
            return f"{where} does not allow this with {which}", self._right()
        if kind == "not-found":
            unseen = ", or the credentials may not see it" if self.url.remote else ""
            return f"There is no repository at {where}{unseen}", self._unseen()
        if kind == "redirected":
            return f"{where} leads to another address that was not followed", "Give the address that it leads to."
        return self._here(kind)

    def _here(self, kind: Trouble) -> tuple[str, str | None]:
        """Trouble on this machine."""
        if kind == "disk-full":
            where = tempfile.gettempdir()
            return f"There is no space left in {where}", "Free some, or set TMPDIR to a folder with more."
        if kind == "program-missing":
            return "The program 'ssh' is not installed", "Install the OpenSSH client, or use an https:// address."
        if kind == "key-broken":
            return f"ssh cannot read the key from {self.access.source}", "Copy the whole file of the private key."
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
