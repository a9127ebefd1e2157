"""SSH as Git uses it: one key, known host keys, no questions; all values lie in files, none in a command."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Mapping

from ci_gitops.adapters.git.private import PrivateFolder
from ci_gitops.adapters.git.records import GitAccess
from ci_gitops.adapters.process import clean_environment, run
from ci_gitops.core.git_urls import GitUrl
from ci_gitops.errors import CiGitopsError, UsageError

# https://docs.gitlab.com/user/gitlab_com/#ssh-known_hosts-entries and
# https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints
_SHIPPED = """\
gitlab.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf
gitlab.com ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFSMqzJeV9rUzU4kWitGjeR4PWSa29SPqJ1fVkhtj3Hw9xjLVXVYrU9QlYWrOLXBpQ6KWjbjTDTdDkoohFzgbEY=
gitlab.com ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCsj2bNKTBSpIYDEGk9KxsGh3mySTRgMtXL583qmBpzeQ+jqCMRgBqB98u3z++J1sKlXHWfM9dyhSevkMwSbhoR8XIq/U0tCNyokEi/ueaBMCvbcTHhO7FcwzY92WK4Yt0aGROY5qX2UKSeOvuP4D6TPqKF1onrSzH9bx9XUf2lEdWT/ia1NEKjunUqu1xOB/StKDHMoX4/OKyIzuS0q/T1zOATthvasJFoPrAjkohTyaDUz2LN5JoH839hViyEG82yB+MjcFV5MU3N1l1QL3cVUCh93xSaua1N85qivl+siMkPGbO5xR/En4iEY6K2XPASUEMaieWVNTRCtJ4S8H+9
github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
github.com ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=
github.com ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCj7ndNxQowgcQnjshcLrqPEiiphnt+VTTvDP6mHBL9j1aNUkY4Ue1gvwnGLVlOhGeYrnZaMgRK6+PKCUXaDbC7qtbW8gIkhL7aGCsOr/C56SJMy/BCZfxd1nWzAOxSDPgVsmerOBYfNqltV9/hWCqBywINIR+5dIg6JTJ72pcEpEjcYgXkE2YEFXV1JHnsKgbLWNlhScqb2UmyRkQyytRLtL+38TGxkxCflmO+5Z8CSSNY7GidjMIZ7Q4zMjA2n1nGrlTDkzwDCsw+wqFPGQA179cnfGWOWRVruj16z6XyvxvjJwbz0wQZ75XK5tKSb7FNyeIEs4TT4jk+S4dhPeAUC5y+bDYirYgM4GC7uEnztnZyaVWQ7B381AK4Qdrwt51ZqExKbQpTUNn+EjqoTwvqNj4kqx5QUCI0ThS/YkOxJCXmPUWZbhjpCg56i+2aB6CmK2JGhn57K5mj0MNdBXA4/WnwH6XoPWJzK5Nyu2zB3nAZp+S5hpQs+p1vN1/wsjk=
"""  # noqa: E501 - keys have no line breaks
_SILENCE = 20  # seconds without an answer after which the server counts as away


def mended_key(text: str, source: str) -> str:
    """A private key as ssh and gpg want it: line feeds only, one at the end, nothing around it."""
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text.strip())]
    if not lines[0].startswith("-----BEGIN") or not lines[-1].startswith("-----END"):
        raise UsageError(
            f"{source} holds no private key.",
            hint="It begins with '-----BEGIN' and ends with '-----END …-----'; a public key (.pub) is not enough.",
        )
    return "\n".join(lines) + "\n"


def has_passphrase(key: str) -> bool:
    """Whether a private key is encrypted; nobody is there to be asked for its passphrase."""
    if "ENCRYPTED" in key:  # PEM and PKCS#8 say so in their text
        return True
    body = "".join(key.split("\n")[1:-2])
    try:
        opened = base64.b64decode(body)
    except ValueError:
        return False
    # https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL.key: the magic, then the name of the cipher
    name = opened.removeprefix(b"openssh-key-v1\0")[4:8]
    return opened.startswith(b"openssh-key-v1\0") and name != b"none"


def known_hosts_text(given: str) -> str:
    """The given host keys, mended, and the published ones of gitlab.com and github.com."""
    lines = [line.strip() for line in given.replace("\r", "\n").split("\n") if line.strip()]
    return "".join(f"{line}\n" for line in lines) + _SHIPPED


def ssh_variables(folder: PrivateFolder, access: GitAccess) -> dict[str, str]:
    """The variables by which Git calls ssh with exactly this key and these host keys."""
    known = folder.write("known_hosts", access.known_hosts)
    options = [
        ("BatchMode", "yes"),
        ("StrictHostKeyChecking", "accept-new" if access.accept_new else "yes"),
        ("UserKnownHostsFile", " ".join(_quoted(str(path)) for path in (known, *access.known_hosts_files))),
        ("UpdateHostKeys", "no"),
        ("ConnectTimeout", str(_SILENCE)),
        ("ServerAliveInterval", str(_SILENCE // 2)),
        ("ServerAliveCountMax", "2"),
        ("LogLevel", "ERROR" if access.accept_new else "INFO"),
        ("ControlMaster", "no"),
        ("ControlPath", "none"),
        ("ForwardAgent", "no"),
        ("PermitLocalCommand", "no"),
    ]
    if access.ssh_key:
        key = folder.write("key", access.ssh_key)
        options += [
            ("IdentityFile", _quoted(str(key))),
            ("IdentitiesOnly", "yes"),
            ("IdentityAgent", "none"),
            ("PreferredAuthentications", "publickey"),
        ]
    lines = "".join(f"{name} {value}\n" for name, value in options)
    if not access.ssh_key and access.environment.get("HOME"):
        # A person's own set-up (agent, keys, aliases) stays in force where we bring no key; what stands first counts.
        lines += f"Include {_quoted(access.environment['HOME'] + '/.ssh/config')}\n"
    config = folder.write("ssh_config", lines)
    return {"GIT_SSH_COMMAND": f"ssh -F {shlex.quote(str(config))}", "GIT_SSH_VARIANT": "ssh"}


def offered_host_key(url: GitUrl, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """What the host calls its key now, as a line of known_hosts, and the fingerprint to compare; None if silent."""
    words = ["ssh-keyscan", "-T", "5", "-t", "ed25519,ecdsa,rsa", "-p", str(url.port or 22), "--", url.host]
    try:
        done = run(words, env=clean_environment(environ), timeout=_SILENCE)
    except CiGitopsError:
        return None
    lines = sorted((line for line in done.text.splitlines() if line.count(" ") == 2 and line[0] != "#"), key=_strength)
    if not lines:
        return None
    digest = hashlib.sha256(base64.b64decode(lines[0].split(" ")[2])).digest()
    return lines[0], f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _strength(line: str) -> int:
    kinds = ("ssh-ed25519", "ecdsa", "ssh-rsa")
    return next((rank for rank, kind in enumerate(kinds) if line.split(" ")[1].startswith(kind)), len(kinds))


def _quoted(path: str) -> str:
    # ssh_config expands %-tokens in paths.
    return '"' + path.replace("%", "%%") + '"'
