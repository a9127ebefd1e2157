"""The one way to run git: through GitPython, with an environment and a configuration that are ours alone."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from ci_gitops.adapters.git.private import PrivateFolder, allowed_protocols, askpass_variables
from ci_gitops.adapters.git.records import GitAccess
from ci_gitops.adapters.git.ssh import ssh_variables
from ci_gitops.adapters.process import PROXY_VARIABLES, Completed, supervise
from ci_gitops.core.git_messages import reason, trouble
from ci_gitops.core.git_urls import GitUrl
from ci_gitops.errors import CiGitopsError, GitError

if TYPE_CHECKING:
    from git.cmd import Git

_KEPT = ("PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK")
_SPACE = "Free some space, or set TMPDIR to a folder with more."
_NOT_FOUND = 127  # how `env` ends when there is no such program


def kept_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that git and ssh get: where programs, home and agent are, and the proxies."""
    return {name: environ[name] for name in (*_KEPT, *PROXY_VARIABLES) if environ.get(name)}


def git_program(folder: str) -> Git:
    """GitPython's runner for commands in `folder`; the import costs a tenth of a second, so it is done late."""
    if "git" not in sys.modules:
        before = os.environ.get("GIT_PYTHON_REFRESH")
        os.environ["GIT_PYTHON_REFRESH"] = "quiet"  # else the import fails where git is missing
        importlib.import_module("git.cmd")
        if before is None:
            del os.environ["GIT_PYTHON_REFRESH"]
    from git.cmd import Git

    return Git(folder)


class Runner:
    """Runs git commands for one repository: `local` ones cannot reach the network, `remote` ones can."""

    def __init__(
        self,
        folder: PrivateFolder,
        url: GitUrl,
        access: GitAccess,
        *,
        timeout: float,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self._git = git_program(str(folder.path))
        self.timeout = timeout
        self._trace = trace
        plain = {
            **kept_variables(access.environment or os.environ),
            "GIT_DIR": str(folder.repository),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": str(folder.askpass),
            "SSH_ASKPASS": str(folder.askpass),
        }
        self.local_environment = {**plain, "GIT_CONFIG_GLOBAL": str(folder.local_config)}
        self.remote_environment = {
            **plain,
            "GIT_CONFIG_GLOBAL": str(folder.remote_config),
            "GIT_ALLOW_PROTOCOL": ":".join(allowed_protocols(url)),
            **askpass_variables(url, access),
            **(ssh_variables(folder, access) if url.scheme == "ssh" else {}),
        }

    def local(
        self, *arguments: str, stdin: bytes = b"", ok: tuple[int, ...] = (0,), more: Mapping[str, str] | None = None
    ) -> Completed:
        """A command on the private repository. Raises GitError where it fails: that is nobody's expected answer."""
        done = self._run(arguments, stdin, {**self.local_environment, **(more or {})}, None)
        if done.code not in ok:
            command = next((word for word in arguments if not word.startswith("-") and "." not in word), "")
            hint = _SPACE if trouble(done.errors) == "disk-full" else None
            raise GitError(f"git {command} failed: {reason(done.errors)}.", hint=hint)
        return done

    def remote(self, *arguments: str, stdin: bytes = b"", timeout: float | None = None) -> Completed:
        """A command that may talk to the server; what its failure means is the caller's to say."""
        return self._run(arguments, stdin, self.remote_environment, timeout)

    def _run(
        self, arguments: tuple[str, ...], stdin: bytes, environment: Mapping[str, str], timeout: float | None = None
    ) -> Completed:
        if self._trace:
            self._trace(f"git {' '.join(arguments)}")
        # The handle stops the process when it is collected, so it lives as long as the process.
        handle = self._start(arguments, environment)
        process = cast("subprocess.Popen[bytes]", handle.proc)
        done = supervise(process, ("git", *arguments), stdin=stdin, timeout=timeout or self.timeout)
        if done.code == _NOT_FOUND:
            raise CiGitopsError("The program 'git' is not installed.", hint="Install it or put it on PATH.")
        return done

    def _start(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Git.AutoInterrupt:
        # GitPython hands on the whole environment of this process: `env -u` takes it away again, by name
        # only, since values in an argument list are for everybody to see.
        purged = sorted(set(os.environ) - {*environment, "LC_ALL", "LANGUAGE"})
        unset = [word for name in purged for word in ("-u", name)]
        try:
            return self._git.execute(
                ["env", *unset, "git", *arguments],
                istream=subprocess.PIPE,
                as_process=True,
                env=dict(environment),
                start_new_session=True,
            )
        except Exception as error:  # GitPython wraps what Popen raises in classes of its own
            raise CiGitopsError(f"git cannot be started: {error}") from error
