"""Certificate authorities for Git, and why a server's certificate was not trusted."""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path

from ci_gitops.errors import UsageError

_DEBIAN = Path("/etc/ssl/certs/ca-certificates.crt")
_TIMEOUT = 5.0  # seconds for looking again at a certificate


def bundle_text(own: Path) -> str:
    """The given certificates and the system's: another host may be signed by a public authority."""
    try:
        text = own.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise UsageError(f"The certificate file {own} cannot be read: {error.strerror}.") from error
    if "-----BEGIN" not in text:
        raise UsageError(f"{own} holds no certificate in PEM format.", hint="It must have '-----BEGIN CERTIFICATE'.")
    with contextlib.suppress(OSError):
        text += "\n" + _system_bundle().read_text(encoding="ascii", errors="replace")
    return text


def _system_bundle() -> Path:
    # OpenSSL's own default is a name that Debian does not fill.
    return _DEBIAN if _DEBIAN.exists() else Path(ssl.get_default_verify_paths().openssl_cafile)


def certificate_trouble(host: str, port: int, ca_file: Path | None) -> str | None:
    """What is wrong with the certificate of a server, in words: Git's TLS library only says that it is not trusted."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    try:
        with (
            socket.create_connection((host, port), timeout=_TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return error.verify_message.rstrip(".")
    except OSError:
        return None
