"""What the engines' words for a registry's trouble mean: wrong login, unknown certificate, or away for now."""

from __future__ import annotations

import re

from ci_gitops.adapters.builders.workshop import RegistryAccess
from ci_gitops.adapters.patience import AwayError
from ci_gitops.adapters.registry_errors import certificate_error, login_error
from ci_gitops.errors import CiGitopsError

_PLAIN_HTTP = re.compile(r"server gave HTTP response to HTTPS client|first record does not look like a TLS handshake")
_CERTIFICATE = re.compile(r"x509|certificate (?:signed|has|is|verify)")
_AWAY = re.compile(
    r"(?i)connection refused|no such host|i/o timeout|handshake timeout|connection reset|network is unreachable|"
    r"no route to host|deadline exceeded|client\.timeout|unexpected EOF|\bEOF$|broken pipe|server misbehaving|"
    r"toomanyrequests|too many requests|status(?: code)?:? (?:429|5\d\d)|(?:502|503|504) "
)
_LOGIN = re.compile(
    r"(?i)unauthorized|authentication required|access .*denied|denied:|forbidden|no basic auth|insufficient_scope|"
    r"\b40[13]\b|invalid username/password"
)


def registry_trouble(text: str, registry: RegistryAccess) -> CiGitopsError | None:
    """The error that `text`, an engine's message about a registry, stands for; None where it says something else."""
    said = text.strip().splitlines()[-1][-400:] if text.strip() else ""
    if _PLAIN_HTTP.search(text):
        return certificate_error(registry.host, "WRONG_VERSION_NUMBER")
    if _CERTIFICATE.search(text):
        return certificate_error(registry.host, text)
    if _AWAY.search(text):
        return AwayError(f"The registry {registry.host} cannot be reached: {said.rstrip('.')}.")
    if _LOGIN.search(text):
        return login_error(registry.host, registry.login, said)
    return None
