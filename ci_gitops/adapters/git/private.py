"""The private folder of one run: a bare repository, Git's whole configuration, keys, and nothing of the user's.

Nobody but us can read it (mode 0700) and it goes away with the run. Secrets that a program must read
from a file (SSH and signing keys) lie here; passwords never do: they go by environment to `askpass`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_gitops.adapters.git.certificates import bundle_text
from ci_gitops.adapters.git.leftovers import PREFIX, hold, remove_leftovers
from ci_gitops.adapters.git.records import GitAccess
from ci_gitops.core.git_urls import GitUrl
from ci_gitops.errors import CiGitopsError, UsageError

REMOTE = "origin"
QUIET = 20  # seconds without a byte after which a transfer is given up

# Answers only for the host that the password is for (after a redirect Git may ask for another one), at the
# address's own scheme or the safer one.
_ASKPASS = """\
#!/bin/sh
place="$CI_GITOPS_ASKPASS_HOST': "
case "$1" in
"Username for '$CI_GITOPS_ASKPASS_SCHEME://$place" | "Username for 'https://$place")
    printf '%s\\n' "$CI_GITOPS_ASKPASS_USER" ;;
"Password for '$CI_GITOPS_ASKPASS_SCHEME://"*"@$place" | "Password for 'https://"*"@$place")
    printf '%s\\n' "$CI_GITOPS_ASKPASS_PASSWORD" ;;
*) exit 1 ;;
esac
"""

Settings = Sequence[tuple[str, str]]


class PrivateFolder:
    """Paths of the folder; `close` removes it."""

    def __init__(self, url: GitUrl, access: GitAccess) -> None:
        remove_leftovers(Path(tempfile.gettempdir()))
        try:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        except OSError as error:
            raise _no_folder(error) from error
        self._lock: int | None = None
        self.repository = self.path / "repository.git"
        self.local_config = self.path / "local.gitconfig"
        self.remote_config = self.path / "remote.gitconfig"
        self.askpass = self.path / "askpass"
        self.address = url.clean if url.remote else os.path.abspath(url.path)  # noqa: PTH100 - links stay as they are
        try:
            self._lock = hold(self.path)
            self._fill(url, access)
        except OSError as error:
            self.close()
            raise _no_folder(error) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """A file that only we can read, from the moment it exists."""
        path = self.path / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
        return path

    def _fill(self, url: GitUrl, access: GitAccess) -> None:
        self._make_repository("sha1")
        self.write("local.gitconfig", config_text(_local_settings(self)))
        ca_file = None
        if url.scheme == "https" and access.ca_file:
            ca_file = self.write("certificates.pem", bundle_text(access.ca_file))
        self.write("remote.gitconfig", config_text(_remote_settings(self, url, access, ca_file)))
        self.write("askpass", _ASKPASS, 0o700)

    def _make_repository(self, hashes: str) -> None:
        """What `git init --bare` without templates writes; a process less."""
        for folder in ("objects", "refs"):
            (self.repository / folder).mkdir(parents=True)
        (self.repository / "HEAD").write_text("ref: refs/heads/none\n")
        self._configure(hashes)

    def _configure(self, hashes: str) -> None:
        # No hooks; no fsync, since nothing here outlives the run; version 1 allows promised objects.
        settings = [
            ("core.repositoryFormatVersion", "1"), ("core.bare", "true"), ("core.hooksPath", os.devnull),
            ("core.fsync", "none"), ("core.logAllRefUpdates", "false"), ("transfer.unpackLimit", "1"),
            ("fastimport.unpackLimit", "1"),
        ]  # fmt: skip
        if hashes != "sha1":
            settings.append(("extensions.objectFormat", hashes))
        (self.repository / "config").write_text(config_text(settings))

    @property
    def empty(self) -> bool:
        """Whether no object has come here yet."""
        return not any((self.repository / "objects").iterdir())

    def adopt(self, clone: Path, *, hashes: str) -> None:
        """Take a bare clone in place of the empty repository."""
        shutil.rmtree(self.repository)
        clone.rename(self.repository)
        self._configure(hashes)

    def use_sha256(self) -> None:
        """Begin again for a remote repository with SHA-256 object names."""
        shutil.rmtree(self.repository)
        self._make_repository("sha256")


def _no_folder(error: OSError) -> CiGitopsError:
    return CiGitopsError(
        f"No temporary folder can be made in {tempfile.gettempdir()}: {error.strerror}.",
        hint="Set TMPDIR to a folder that can be written and has free space.",
    )


def _local_settings(folder: PrivateFolder) -> Settings:
    return [
        ("safe.directory", str(folder.repository)),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
        ("protocol.allow", "never"),
    ]


def _remote_settings(folder: PrivateFolder, url: GitUrl, access: GitAccess, ca_file: Path | None) -> Settings:
    settings = [
        *_local_settings(folder),
        *((f"protocol.{scheme}.allow", "always") for scheme in allowed_protocols(url)),
        ("protocol.version", "2"),
        ("credential.helper", ""),
        (f"remote.{REMOTE}.url", folder.address),
        # Told here, a filtered fetch does not write it into the repository: local commands then say that
        # an object is missing, in place of fetching each one by itself.
        (f"remote.{REMOTE}.promisor", "true"),
        (f"remote.{REMOTE}.partialCloneFilter", "blob:none"),
    ]
    if url.scheme in ("https", "http"):
        settings += [
            ("http.followRedirects", "initial"),
            ("http.lowSpeedLimit", "1"),
            ("http.lowSpeedTime", str(QUIET)),
        ]
        if access.user and access.token:
            # Git from 2.46 then sends the password at once, and saves a round trip and a failed login.
            settings += [("credential.username", access.user), ("http.proactiveAuth", "basic")]
    if ca_file:
        settings.append(("http.sslCAInfo", str(ca_file)))
    if not url.remote:
        # The other side runs here, under this configuration.
        path = Path(url.path).absolute()
        settings += [("safe.directory", str(folder)) for folder in (path, path / ".git", path.resolve())]
        settings += [("uploadpack.allowFilter", "true"), ("uploadpack.allowAnySHA1InWant", "true")]
    return settings


def allowed_protocols(url: GitUrl) -> tuple[str, ...]:
    """What Git may speak: the address's own protocol, and from plain HTTP a server may lead to HTTPS."""
    return ("http", "https") if url.scheme == "http" else (url.scheme,)


def config_text(settings: Settings) -> str:
    """A Git configuration file; each name is `section.key` or `section.subsection.key`."""
    lines = []
    for name, value in settings:
        section, _, key = name.rpartition(".")
        section, _, subsection = section.partition(".")
        lines.append(f"[{section} {_quoted(subsection)}]" if subsection else f"[{section}]")
        lines.append(f"\t{key} = {_quoted(value)}")
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    if "\n" in value or "\0" in value:
        raise UsageError(f"{value!r} holds a line break.")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def askpass_variables(url: GitUrl, access: GitAccess) -> Mapping[str, str]:
    """What `askpass` answers with; nothing where there is no password."""
    if not access.token or url.scheme not in ("https", "http"):
        return {}
    return {
        "CI_GITOPS_ASKPASS_SCHEME": url.scheme,
        "CI_GITOPS_ASKPASS_HOST": url.authority,
        "CI_GITOPS_ASKPASS_USER": access.user or "",
        "CI_GITOPS_ASKPASS_PASSWORD": access.token,
    }
