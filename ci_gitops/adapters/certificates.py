"""Which certificate authority to trust beside the system's: one answer for Git, forges and registries."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from ci_gitops.errors import UsageError

#: Most special first.
VARIABLES = ("CI_SERVER_TLS_CA_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO")


def ca_file(environ: Mapping[str, str], flag: Path | None = None) -> Path | None:
    """The file of `--ca-file`, else of the first variable that names one. A named file must be there."""
    named = [("--ca-file", str(flag))] if flag else [(name, environ.get(name, "")) for name in VARIABLES]
    for source, value in named:
        if value:
            path = Path(value)
            if not path.is_file():
                raise UsageError(f"{source} names {value}, which is no file.", hint="It should hold PEM certificates.")
            return path
    return None


def tls_context(authority: Path | None) -> ssl.SSLContext:
    """A verifying context: the system's authorities, and those in `authority`."""
    context = ssl.create_default_context()
    if authority:
        try:
            context.load_verify_locations(cafile=str(authority))
        except (ssl.SSLError, OSError) as error:
            raise UsageError(f"{authority} holds no PEM certificate: {error}.") from error
    return context
