"""Who we are at a registry: found in flags, CI variables, Docker's configuration or a credential helper.

The source is kept beside the credentials: when a registry refuses them, it is what a person needs to know.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ci_gitops import masking
from ci_gitops.adapters import process
from ci_gitops.errors import RegistryError, UsageError

DOCKER_HUB = "docker.io"
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
_HUB_KEY = "https://index.docker.io/v1/"
_LARGEST_CONFIG = 4 * 1024 * 1024
_TOKEN_USER = "<token>"  # noqa: S105 - how helpers mark an identity token
_HELPER_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials at one registry. `identity_token` stands in place of user and password."""

    host: str
    source: str
    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        masking.register_login(self.user, self.password)
        masking.register(self.identity_token)

    @property
    def basic(self) -> str:
        """User and password as HTTP and Docker's configuration write them."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """Docker's `config.json` and what it is called in messages."""

    name: str
    content: Mapping[str, Any]


def login_for(
    host: str,
    environ: Mapping[str, str],
    *,
    user: str | None = None,
    password_file: Path | None = None,
    password: str | None = None,
) -> Login | None:
    """Credentials for `host`: what the caller was given, then CI's variables, then Docker's configuration.

    None: nobody gave any, the registry is asked without.
    """
    return (
        _given(host, user, password_file, password)
        or _from_variables(host, environ)
        or _from_docker_configs(host, environ)
    )


def same_host(one: str, other: str) -> bool:
    return _plain_host(one) == _plain_host(other)


def config_key(host: str) -> str:
    """The name under which Docker's configuration keeps a registry."""
    return _HUB_KEY if host == DOCKER_HUB else host


def _given(host: str, user: str | None, file: Path | None, password: str | None) -> Login | None:
    if file is not None:
        try:
            password, source = file.read_text().strip("\r\n"), f"--registry-password-file {file}"
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The registry's password cannot be read from {file}: {error}.") from error
        masking.register(password)
    elif password:
        source = "CI_GITOPS_BUILD_REGISTRY_PASSWORD"
    else:
        if user:
            raise UsageError(
                f"A registry user ({user}) was given, but no password.",
                hint="--registry-password-file FILE, or the variable CI_GITOPS_BUILD_REGISTRY_PASSWORD.",
            )
        return None
    if not password:
        raise UsageError(f"The registry's password in {file} is empty.")
    if not user:
        raise UsageError("A registry password was given, but no user.", hint="Add --registry-user NAME.")
    return Login(host, source, user, password)


#: (variable with the host, with the user, with the password); a name without a variable is fixed text in quotes
_VARIABLES = (
    ("DOCKER_REGISTRY_HOST", "DOCKER_REGISTRY_USER", "DOCKER_REGISTRY_PWD"),
    ("CI_REGISTRY", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"),
    ("CI_REGISTRY", "CI_DEPLOY_USER", "CI_DEPLOY_PASSWORD"),
)


def _from_variables(host: str, environ: Mapping[str, str]) -> Login | None:
    for host_name, user_name, password_name in _VARIABLES:
        user, password = environ.get(user_name), environ.get(password_name)
        if user and password and same_host(environ.get(host_name, ""), host):
            return Login(host, f"{user_name} and {password_name}", user, password)
    token = environ.get("CI_JOB_TOKEN")
    if token and same_host(environ.get("CI_REGISTRY", ""), host):
        return Login(host, "CI_JOB_TOKEN", "gitlab-ci-token", token)
    return None


def docker_configs(environ: Mapping[str, str]) -> Iterator[DockerConfig]:
    """The configurations that are there, the first one that knows a registry wins.

    DOCKER_AUTH_CONFIG is how GitLab's runners take one, REGISTRY_AUTH_FILE how buildah and podman do.
    """
    text = environ.get("DOCKER_AUTH_CONFIG")
    if text:
        yield DockerConfig("DOCKER_AUTH_CONFIG", _parse(text, "DOCKER_AUTH_CONFIG"))
    for path in config_paths(environ):
        if path.is_file():
            yield DockerConfig(str(path), _read(path))


def config_paths(environ: Mapping[str, str]) -> list[Path]:
    """Where a Docker configuration may lie, Docker's own place first."""
    paths = [docker_folder(environ) / "config.json"]
    if environ.get("REGISTRY_AUTH_FILE"):
        paths.append(Path(environ["REGISTRY_AUTH_FILE"]))
    if environ.get("XDG_RUNTIME_DIR"):
        paths.append(Path(environ["XDG_RUNTIME_DIR"]) / "containers" / "auth.json")
    return paths


def docker_folder(environ: Mapping[str, str]) -> Path:
    """Docker's configuration folder of this user."""
    home = environ.get("HOME")
    return Path(environ["DOCKER_CONFIG"]) if environ.get("DOCKER_CONFIG") else Path(home or "/nonexistent") / ".docker"


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            raise RegistryError(f"{path} is too large for a Docker configuration.")
        return _parse(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"The Docker configuration {path} cannot be read: {error}.") from error


def _parse(text: str, name: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text or "{}")
    except ValueError as error:
        raise RegistryError(
            f"{name} is not JSON: {error}.", hint="It should look like Docker's config.json."
        ) from error
    if not isinstance(content, dict):
        raise RegistryError(f"{name} should hold a JSON object, as Docker's config.json does.")
    _mask_logins(content)
    return content


def _mask_logins(content: Mapping[str, Any]) -> None:
    """The whole configuration is handed on to engines, which may show it: mask the logins of all its registries."""
    auths = content.get("auths")
    for entry in auths.values() if isinstance(auths, dict) else ():
        if isinstance(entry, dict):
            for secret in ("auth", "password", "identitytoken", "registrytoken"):
                masking.register(str(entry.get(secret) or ""))
            with contextlib.suppress(ValueError):
                masking.register(base64.b64decode(str(entry.get("auth") or "")).decode().partition(":")[2])


def _from_docker_configs(host: str, environ: Mapping[str, str]) -> Login | None:
    for config in docker_configs(environ):
        login = _from_docker_config(host, config, environ)
        if login:
            return login
    return None


def _from_docker_config(host: str, config: DockerConfig, environ: Mapping[str, str]) -> Login | None:
    helpers = _table(config, "credHelpers")
    helper = next((helpers[key] for key in helpers if same_host(key, host)), None) or config.content.get("credsStore")
    if isinstance(helper, str) and helper:
        login = _ask_helper(host, helper, config, environ)
        if login:
            return login
    auths = _table(config, "auths")
    for key, entry in auths.items():
        if isinstance(entry, dict) and same_host(key, host):
            login = _from_entry(host, entry, f"{config.name} (auths: {key})")
            if login:
                return login
    return None


def _table(config: DockerConfig, name: str) -> Mapping[str, Any]:
    table = config.content.get(name) or {}
    if not isinstance(table, dict):
        raise RegistryError(f"{config.name}: `{name}` should be an object.")
    return table


def _from_entry(host: str, entry: Mapping[str, Any], source: str) -> Login | None:
    if entry.get("identitytoken"):
        return Login(host, source, identity_token=str(entry["identitytoken"]))
    user, password = entry.get("username"), entry.get("password")
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(str(entry["auth"]), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise RegistryError(f"{source}: `auth` is not base64 of user:password.") from error
        user, _, password = decoded.rstrip("\0").partition(":")
    return Login(host, source, str(user), str(password)) if user and password else None


def _ask_helper(host: str, helper: str, config: DockerConfig, environ: Mapping[str, str]) -> Login | None:
    """Ask a credential helper by its protocol: the registry's name in, JSON out.

    https://github.com/docker/docker-credential-helpers#development
    """
    name = f"docker-credential-{helper}"
    program = shutil.which(name, path=environ.get("PATH"))
    if "/" in helper or program is None:
        raise RegistryError(
            f"{config.name} names the credential helper {name}, which is not on PATH.",
            hint="Install it, or take it out of credHelpers and credsStore.",
        )
    # A helper has settings of its own (AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS …): it gets the whole environment.
    answer = process.run(
        [program, "get"],
        env=environ,
        stdin=config_key(host).encode(),
        timeout=_HELPER_SECONDS,
        output_limit=1024 * 1024,
    )
    if answer.code:
        said = (answer.text.strip() or answer.errors)[-300:]
        if "credentials not found" in said:
            return None
        raise RegistryError(f"The credential helper {name} (named in {config.name}) failed for {host}: {said}")
    return _helper_login(host, answer.text, f"the credential helper {name} ({config.name})")


def _helper_login(host: str, text: str, source: str) -> Login | None:
    try:
        found = json.loads(text)
        user, password = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        # Its answer is not shown: it may hold the secret.
        raise RegistryError(f"The answer of {source} is not the JSON that credential helpers give.") from error
    if user == _TOKEN_USER:
        return Login(host, source, identity_token=password)
    return Login(host, source, user, password) if password else None


def _plain_host(name: str) -> str:
    host = name.split("://", 1)[-1].split("/", 1)[0].lower()
    return DOCKER_HUB if host in _HUB_NAMES else host
