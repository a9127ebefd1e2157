"""Which credentials, certificates and host keys open a repository: found in the environment, named by their source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ci_gitops import masking
from ci_gitops.adapters import certificates
from ci_gitops.adapters.git.records import GitAccess, SigningKey
from ci_gitops.adapters.git.runner import kept_variables
from ci_gitops.adapters.git.ssh import has_passphrase, known_hosts_text, mended_key
from ci_gitops.core.git_urls import GitUrl, parse_git_url
from ci_gitops.errors import UsageError

_KEY_VARIABLE = "GITLAB_ID_RSA"
_SIGNING = "CI_GITOPS_SIGNING_KEY"
_JOB_USER = "gitlab-ci-token"
_APP, _APP_KEY = "CI_GITOPS_GITHUB_APP_ID", "CI_GITOPS_GITHUB_APP_KEY"
_GITHUB_SOURCES = (_APP_KEY, "GITHUB_TOKEN")


def access_for(
    url: str,
    environ: Mapping[str, str],
    *,
    ca_file: Path | None = None,
    token_file: Path | None = None,
    environment: str | None = None,
) -> GitAccess:
    """What opens the repository at `url`, and (for messages) where it came from.

    The token is the first of: `token_file`, CI_GITOPS_TOKEN_<ENVIRONMENT>, a person's password inside `url`,
    CI_GITOPS_TOKEN, one of the GitHub App in CI_GITOPS_GITHUB_APP_ID, the job token inside `url`, and for repositories
    on the same server CI_JOB_TOKEN (GitLab) or GITHUB_TOKEN (a workflow).
    Each secret is masked from here on.
    """
    address = parse_git_url(url)
    masking.register(address.password)
    kept = kept_variables(environ)
    if not address.remote:
        return GitAccess(environment=kept)
    authority = ca_file or certificate_file(environ)
    token, source = _token(address, environ, token_file, environment, authority)
    if address.scheme == "ssh":
        masking.register(token)
        access = _ssh_access(environ, kept)
        return replace(access, ca_file=authority, api_token=token, api_source=source)
    user = _user(address, source, environ) if token else None
    if token and user:
        masking.register_login(user, token)
    return GitAccess(
        user=user, token=token, source=source, ca_file=authority, api_token=token, api_source=source,
        environment=kept,
    )  # fmt: skip


def certificate_file(environ: Mapping[str, str]) -> Path | None:
    """The certificate authorities that the environment names for everything: git, forge and registry."""
    return next((Path(environ[name]) for name in certificates.VARIABLES if environ.get(name)), None)


def signing_key(kind: Literal["gpg", "ssh"], environ: Mapping[str, str]) -> SigningKey:
    """The private key in CI_GITOPS_SIGNING_KEY (its text, or a file's path), for `Repository.commit`."""
    value = environ.get(_SIGNING)
    if not value:
        raise UsageError(f"Commits are to be signed and {_SIGNING} is not set.", hint="Set it to a private key.")
    text = mended_key(_text_or_file(value, _SIGNING), _SIGNING)
    passphrase = environ.get("CI_GITOPS_SIGNING_PASSPHRASE") or None
    masking.register(text)
    masking.register(passphrase)
    if ("PGP" in text.split("\n", 1)[0]) != (kind == "gpg"):
        raise UsageError(f"{_SIGNING} holds no {kind.upper()} key.", hint="Use the other kind for --sign.")
    return SigningKey(kind, text, _SIGNING, passphrase)


def environment_variable(environment: str) -> str:
    """`CI_GITOPS_TOKEN_EU_WEST` for `eu-west`."""
    return f"CI_GITOPS_TOKEN_{re.sub(r'[^A-Za-z0-9]', '_', environment).upper()}"


def _token(
    url: GitUrl, environ: Mapping[str, str], token_file: Path | None, environment: str | None, ca_file: Path | None
) -> tuple[str | None, str | None]:
    if token_file:
        return _from_file(token_file), f"the file {token_file}"
    own = environment_variable(environment) if environment else None
    if own and environ.get(own):
        return environ[own].strip(), own
    if url.password and url.user != _JOB_USER:
        return url.password, "the address of the repository"
    if environ.get("CI_GITOPS_TOKEN"):
        return environ["CI_GITOPS_TOKEN"].strip(), "CI_GITOPS_TOKEN"
    if any(environ.get(name) for name in (_APP, _APP_KEY)):
        return _app_token(url, environ, ca_file), _APP_KEY
    if url.password:  # GitLab's runner writes the job's token into the address of `origin`
        return url.password, "CI_JOB_TOKEN"
    if environ.get("CI_JOB_TOKEN") and url.host == environ.get("CI_SERVER_HOST", "").lower():
        return environ["CI_JOB_TOKEN"], "CI_JOB_TOKEN"
    workflow_server = environ.get("GITHUB_SERVER_URL", "") if environ.get("GITHUB_ACTIONS") == "true" else ""
    if environ.get("GITHUB_TOKEN") and workflow_server and url.host == parse_git_url(f"{workflow_server}/").host:
        return environ["GITHUB_TOKEN"].strip(), "GITHUB_TOKEN"
    return None, None


def _app_token(url: GitUrl, environ: Mapping[str, str], ca_file: Path | None) -> str | None:
    from ci_gitops.adapters.forges.github_app import app_of  # only who uses one waits for it to load

    given = environ.get(_APP_KEY)
    app = app_of(environ, mended_key(_text_or_file(given, _APP_KEY), _APP_KEY) if given else None)
    return app.token(url, environ, ca_file) if app else None


def _user(url: GitUrl, source: str | None, environ: Mapping[str, str]) -> str:
    if source == "CI_JOB_TOKEN":
        return _JOB_USER
    if url.user and url.user != _JOB_USER:
        return url.user
    on_github = url.host == "github.com" or environ.get("CI_GITOPS_FORGE") == "github" or source in _GITHUB_SOURCES
    return "x-access-token" if on_github else "oauth2"


def _from_file(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"The token file {path} cannot be read: {reason}.") from error
    if not text or "\n" in text:
        raise UsageError(f"The token file {path} must hold one line: the token.")
    return text


def _ssh_access(environ: Mapping[str, str], kept: Mapping[str, str]) -> GitAccess:
    key = environ.get(_KEY_VARIABLE)
    text = mended_key(_text_or_file(key, _KEY_VARIABLE), _KEY_VARIABLE) if key else None
    masking.register(text)
    if text and has_passphrase(text):
        raise UsageError(
            f"The key in {_KEY_VARIABLE} has a passphrase, and nobody can be asked for it.",
            hint="Take a deploy key without one (`ssh-keygen -p -f FILE` removes it) in a masked, protected variable.",
        )
    hosts = environ.get("SSH_KNOWN_HOSTS", "")
    policy = environ.get("CI_GITOPS_SSH_HOST_KEYS", "")
    if policy not in ("", "strict", "accept-new"):
        raise UsageError(f"CI_GITOPS_SSH_HOST_KEYS is {policy!r}; it can be 'accept-new' or 'strict' (the default).")
    home = environ.get("HOME")
    return GitAccess(
        source=_KEY_VARIABLE if text else None,
        ssh_key=text,
        known_hosts=known_hosts_text(_text_or_file(hosts, "SSH_KNOWN_HOSTS") if hosts else ""),
        known_hosts_files=(Path(home) / ".ssh" / "known_hosts",) if home else (),
        accept_new=policy == "accept-new",
        environment=kept,
    )


def _text_or_file(value: str, name: str) -> str:
    """The value itself, or the contents of the file that it names, as GitLab's file variables do."""
    if "\n" in value.strip() or "\r" in value.strip() or " " in value.strip() or value.startswith("-----"):
        return value
    try:
        return Path(value.strip()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{name} is neither a text of several lines nor a file that can be read.",
            hint=f"Give the text itself, or make {name} a variable of type File.",
        ) from error
