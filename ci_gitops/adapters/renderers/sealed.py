"""Files that SOPS encrypted: decrypted where a key is given, refused where not, never applied as they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ci_gitops import masking
from ci_gitops.adapters import process
from ci_gitops.adapters.renderers.base import Job
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.vault_addresses import vault_addresses
from ci_gitops.core.yamlload import load_all
from ci_gitops.errors import RenderError

_MARK = "ENC[AES256_GCM,"
#: What sops reads keys and logins from (https://getsops.io/docs/).
_KEY_VARIABLES = (
    "SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_PGP_FP", "GNUPGHOME",
    "AWS_PROFILE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN",
    "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "VAULT_ADDR", "VAULT_TOKEN",
)  # fmt: skip
_HINT = "Give the key, as in SOPS_AGE_KEY_FILE=FILE or SOPS_AGE_KEY."


def encrypted(files: Iterable[Path]) -> tuple[Path, ...]:
    """Those of `files` that SOPS encrypted, by its marks."""
    return tuple(file for file in files if file.is_file() and _is_encrypted(file.read_bytes()))


def _is_encrypted(content: bytes) -> bool:
    return _MARK.encode() in content and b"sops" in content and b"mac" in content


def decrypt(job: Job, file: Path) -> None:
    """Write `file`, which must be in a tree of our own, as it was before; its values show in no output."""
    shown = job.plain(str(file))
    if not job.recipe.keys:
        raise RenderError(
            f"{shown} is encrypted with SOPS, and the merge request is from a fork.",
            hint="Keys are never offered to a fork's tree: render it after review, from a branch of the project.",
        )
    if not any(job.environ.get(name) for name in _KEY_VARIABLES):
        raise RenderError(f"{shown} is encrypted with SOPS, and no key is given.", hint=_HINT)
    own = _own_vault(job, file)
    names = [name for name in _KEY_VARIABLES if name != "VAULT_TOKEN" or own]
    env = process.clean_environment(job.environ, *names, proxies=True)
    if not own:
        env["HOME"] = str(job.scratch)  # where a person's own ~/.vault-token is not
    done = process.run(
        [job.program("sops"), "--disable-version-check", "decrypt", str(file)], env=env, cwd=job.tree, timeout=60
    )
    if done.code:
        words = job.plain(done.errors)
        raise RenderError(f"{shown} is encrypted with SOPS, and the key does not open it: {words}", hint=_HINT)
    _hide(file.read_text(encoding="utf-8"), done.text)
    file.unlink()  # a link would lead to what is not ours
    file.write_bytes(done.stdout)


def _own_vault(job: Job, file: Path) -> bool:
    """The file itself says to which server the token goes: only to the one that the run names."""
    named = vault_addresses(file.read_text(encoding="utf-8", errors="replace"), flat=file.suffix in (".env", ".ini"))
    return named is not None and named <= {job.environ.get("VAULT_ADDR", "").rstrip("/")}


def _hide(before: str, after: str) -> None:
    """Register every value that was encrypted."""
    try:
        closed, opened = load_all(before), load_all(after)
    except (yaml.YAMLError, RecursionError):
        masking.register(after)  # a binary or dotenv file is a secret as a whole
        for line in after.splitlines():
            masking.register(line.partition("=")[2])
        return
    for one, other in zip(closed, opened, strict=False):
        for value in _opened(one, other):
            masking.register(value)


def _opened(closed: Any, opened: Any) -> Iterator[str]:
    if isinstance(closed, str) and closed.startswith(_MARK):
        yield opened if isinstance(opened, str) else json.dumps(opened)
    elif isinstance(closed, Mapping) and isinstance(opened, Mapping):
        for key, value in opened.items():
            yield from _opened(closed.get(key), value)
    elif isinstance(closed, list) and isinstance(opened, list):
        for one, other in zip(closed, opened, strict=False):
            yield from _opened(one, other)


def refuse_encrypted(manifests: Iterable[Manifest]) -> None:
    """Whatever way it came: an object with encrypted values is no object to apply."""
    for manifest in manifests:
        if "sops" in manifest.document or any(_MARK in text for text in _texts(manifest.document)):
            raise RenderError(f"{manifest} is still encrypted with SOPS after rendering.", hint=_HINT)


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for item in node.values():
            yield from _texts(item)
    elif isinstance(node, list):
        for item in node:
            yield from _texts(item)
