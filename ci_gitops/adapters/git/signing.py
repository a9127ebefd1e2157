"""Signed commits: the key lies in the private folder, gpg works in a home of its own, and its agent ends with us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_gitops.adapters.git.objects import clean_person
from ci_gitops.adapters.git.private import PrivateFolder
from ci_gitops.adapters.git.records import Person, SigningKey
from ci_gitops.adapters.git.runner import Runner
from ci_gitops.adapters.process import Completed, clean_environment, run
from ci_gitops.errors import GitError, UsageError

_TIMEOUT = 30.0
# ssh-keygen asks such a program where there is no terminal.
_ASK = "#!/bin/sh\nprintf '%s\\n' \"$CI_GITOPS_SIGNING_PASSPHRASE\"\n"
# Git calls it in place of gpg, which else would ask on a terminal.
_GPG = '#!/bin/sh\nexec gpg --batch --no-tty --pinentry-mode loopback --passphrase-file "$GNUPGHOME/passphrase" "$@"\n'


class Signer:
    """Signs commits of one repository with one key; `close` leaves no agent behind."""

    def __init__(self, runner: Runner, folder: PrivateFolder, key: SigningKey, environ: Mapping[str, str]) -> None:
        self.key = key
        self._runner = runner
        self._folder = folder
        self._home = folder.path / "gnupg"
        self._environ = clean_environment(environ)
        self._settings: list[str] = []  # options of git, once the key is laid ready
        self._variables = {"GNUPGHOME": str(self._home), "CI_GITOPS_SIGNING_PASSPHRASE": key.passphrase or ""}

    def sign(
        self, tree: str, parents: Sequence[str], message: str, *, author: Person, committer: Person, when: int
    ) -> str:
        """A signed commit of `tree`; its id."""
        if not self._settings:
            self._settings = self._ssh() if self.key.kind == "ssh" else self._gpg()
        words = [*self._settings, "commit-tree", "-S", *(word for parent in parents for word in ("-p", parent)), tree]
        variables = {**self._variables, **_identity("AUTHOR", author, when), **_identity("COMMITTER", committer, when)}
        try:
            done = self._runner.local(*words, stdin=message.encode("utf-8", "replace"), more=variables)
        except GitError as error:
            raise GitError(
                f"The commit cannot be signed with the key in {self.key.source}: {error.message}",
                hint="Check that the key may sign, has not expired and needs no other passphrase than "
                "CI_GITOPS_SIGNING_PASSPHRASE.",
            ) from error
        return done.text.strip()

    def close(self) -> None:
        if self._home.exists():
            run(["gpgconf", "--kill", "all"], env={**self._environ, **self._variables}, timeout=_TIMEOUT)

    def _ssh(self) -> list[str]:
        key = self._folder.write("signing_key", self.key.text)
        ask = self._folder.write("signing_passphrase", _ASK, 0o700)
        self._variables |= {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
        return ["-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"]

    def _gpg(self) -> list[str]:
        self._home.mkdir(mode=0o700)
        self._folder.write("gnupg/passphrase", (self.key.passphrase or "") + "\n")
        program = self._folder.write("gnupg/program", _GPG, 0o700)
        imported = self._run_gpg(program, "--import", stdin=self.key.text.encode())
        listed = self._run_gpg(program, "--list-secret-keys", "--with-colons")
        ids = [line.split(":")[9] for line in listed.text.splitlines() if line.startswith("fpr:")]
        if not ids:
            raise UsageError(
                f"{self.key.source} holds no GPG private key that can be read: {imported.errors}",
                hint="Export one with `gpg --armor --export-secret-keys KEYID`; for SSH keys it is --sign ssh.",
            )
        return ["-c", f"gpg.program={program}", "-c", f"user.signingKey={ids[0]}"]

    def _run_gpg(self, program: Path, *words: str, stdin: bytes = b"") -> Completed:
        environ = {**self._environ, **self._variables, "LC_ALL": "C"}
        return run([str(program), *words], env=environ, stdin=stdin, timeout=_TIMEOUT)


def _identity(role: str, person: Person, when: int) -> dict[str, str]:
    name, email = clean_person(role.lower(), person)
    return {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": email, f"GIT_{role}_DATE": f"{when} +0000"}
