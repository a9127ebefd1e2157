"""Where one build happens: a private folder with a Docker configuration, secrets and certificates, gone afterwards.

The user's own `~/.docker/config.json` is read and never written: a password that `docker login` leaves there
outlives the job.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci_gitops import masking
from ci_gitops.adapters import process
from ci_gitops.adapters.builders.base import BuildRequest, BuildSecret
from ci_gitops.adapters.registry_login import Login, config_key, docker_configs, docker_folder, same_host
from ci_gitops.errors import UsageError
from ci_gitops.output import Output

_ENGINE_VARIABLES = (
    "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION", "BUILDKIT_HOST",
    "CONTAINERS_STORAGE_CONF", "CONTAINERS_CONF", "CONTAINERS_REGISTRIES_CONF", "STORAGE_DRIVER", "BUILDAH_ISOLATION",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
_SHARED_FOLDERS = ("contexts", "cli-plugins")  # of the user's Docker configuration; neither holds passwords
_LONG_WORD = 12
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_LARGEST_SECRET = 500 * 1024  # BuildKit's own bound


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """How the registry that is pushed to is reached."""

    host: str
    login: Login | None = None
    ca_file: Path | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Workshop:
    environ: Mapping[str, str]
    folder: Path
    registry: RegistryAccess
    tell: Callable[[str], None]
    live: bool = False  # a person's terminal: what moves may be told
    trace: Callable[[str], None] = lambda _: None  # gets each command line, for -vv
    wait: Callable[[float], None] = time.sleep

    def environment(self, request: BuildRequest | None = None) -> dict[str, str]:
        """What an engine's program gets of our environment."""
        names = [name for name, value in request.build_args if value is None] if request else []
        kept = process.clean_environment(self.environ, *_ENGINE_VARIABLES, *names, proxies=True)
        builders = docker_folder(self.environ) / "buildx"
        kept["BUILDX_CONFIG"] = str(builders if builders.is_dir() else self.folder / "buildx")
        # The client of 20.10 has BuildKit inside and uses it only when told to.
        return {**kept, "DOCKER_CONFIG": str(self.folder), "DOCKER_BUILDKIT": "1"}

    def auth_file(self) -> Path:
        """The logins alone, for programs that would call the client's empty helper."""
        path = self.folder / "auth.json"
        if not path.exists():
            config = client_config(self.environ, self.registry)
            helpers = {host: helper for host, helper in config["credHelpers"].items() if helper}
            _write_private(path, json.dumps({"auths": config["auths"], "credHelpers": helpers}))
        return path

    def secret_file(self, secret: BuildSecret) -> Path:
        """A file that holds the secret; what came in a variable is laid in the private folder.

        So is a file whose name would end the engines' comma-separated values too early.
        """
        if secret.file and not set(',"') & set(str(secret.file)):
            return secret.file
        value = secret.file.read_bytes() if secret.file else self.environ[secret.variable or ""].encode()
        path = self.folder / f"secret-{secret.id}"
        if not path.exists():
            _write_private(path, value)
        return path

    def build_arguments(self, request: BuildRequest) -> list[str]:
        """The `--build-arg` words: a value that comes from a variable stays out of the command line."""
        words = []
        for name, value in request.build_args:
            if value is None and name not in self.environ:
                raise UsageError(f"--build-arg {name} has no value, and the variable {name} is not set.")
            words += ["--build-arg", name if value is None else f"{name}={value}"]
        return words


@contextmanager
def workshop(environ: Mapping[str, str], registry: RegistryAccess, output: Output) -> Iterator[Workshop]:
    """A workshop for one build, removed at the end whatever happens."""
    with tempfile.TemporaryDirectory(prefix="ci-gitops-build-") as name:
        folder = Path(name)
        for shared in _SHARED_FOLDERS:
            source = docker_folder(environ) / shared
            if source.is_dir():
                (folder / shared).symlink_to(source.absolute())
        _write_private(folder / "config.json", json.dumps(client_config(environ, registry)))
        yield Workshop(environ, folder, registry, output.step, output.live, output.command)


def client_config(environ: Mapping[str, str], registry: RegistryAccess) -> dict[str, Any]:
    """The user's Docker configuration with our login for the one registry in it.

    An empty helper for that registry keeps the client from asking a helper of its own choice.
    """
    merged: dict[str, Any] = {}
    auths: dict[str, Any] = {}
    helpers: dict[str, Any] = {}
    for config in docker_configs(environ):
        merged = {**config.content, **merged}
        auths = {**(config.content.get("auths") or {}), **auths}
        helpers = {**(config.content.get("credHelpers") or {}), **helpers}
    key, login = config_key(registry.host), registry.login
    auths = {name: entry for name, entry in auths.items() if not same_host(name, registry.host)}
    helpers = {name: helper for name, helper in helpers.items() if not same_host(name, registry.host)}
    if login:
        auths[key] = {"identitytoken": login.identity_token} if login.identity_token else {"auth": login.basic}
    return {**merged, "auths": auths, "credHelpers": {**helpers, key: ""}}


def read_secret(secret: BuildSecret, environ: Mapping[str, str]) -> None:
    """See that a secret can be had, and let it show nowhere."""
    if secret.variable:
        _hide(environ.get(secret.variable, ""))
        return
    assert secret.file
    try:
        if secret.file.stat().st_size > _LARGEST_SECRET:
            raise UsageError(f"{secret.file} is larger than a build secret may be ({_LARGEST_SECRET // 1024} KiB).")
        _hide(secret.file.read_text(errors="replace"))
    except OSError as error:
        raise UsageError(
            f"The file of --secret id={secret.id} cannot be read: {secret.file}: {error.strerror}."
        ) from error


def _hide(secret: str) -> None:
    """Mask the whole and its longer words: a step may print one line of a `.netrc`, or the value of `KEY=value`."""
    masking.register(secret)
    for word in re.split(r"[\s=:\"']+", secret):
        if len(word) >= _LONG_WORD and not _HOST.fullmatch(word):
            masking.register(word)


def _write_private(path: Path, content: str | bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
