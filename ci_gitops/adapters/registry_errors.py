"""What a registry's refusals mean to a person: whose credentials those were, what is wrong with the certificate."""

from __future__ import annotations

from ci_gitops.adapters.registry_login import Login
from ci_gitops.errors import RegistryError


def login_error(host: str, login: Login | None, said: str) -> RegistryError:
    """The registry said no: which credentials those were, or that there were none."""
    if login is None:
        return RegistryError(
            f"The registry {host} wants a login, and none was found for it: {said}.",
            hint="Set DOCKER_REGISTRY_USER and DOCKER_REGISTRY_PWD, which count for the host in DOCKER_REGISTRY_HOST "
            "alone, or CI_REGISTRY_USER and CI_REGISTRY_PASSWORD, for that in CI_REGISTRY; or run `docker login`.",
        )
    who = f" as {login.user}" if login.user else ""
    return RegistryError(
        f"The registry {host} refused the login{who} from {login.source}: {said}.",
        hint="Check that these credentials are current and may push to this repository.",
    )


def certificate_error(host: str, said: str) -> RegistryError:
    """TLS failed: expired, for another name, or by an authority that we do not know."""
    if "expired" in said:
        return RegistryError(f"The certificate of the registry {host} has expired.", hint="Renew it at the registry.")
    if "Hostname mismatch" in said or "IP address mismatch" in said:
        return RegistryError(f"The certificate of the registry {host} is for another name.")
    if "WRONG_VERSION_NUMBER" in said or "record layer" in said:
        return RegistryError(
            f"The registry {host} does not speak TLS.",
            hint=f"Give it a certificate, or allow plain HTTP with --insecure-registry {host}.",
        )
    return RegistryError(
        f"The certificate of the registry {host} is signed by an authority that is not known here.",
        hint="Name the authority's certificate with --ca-file FILE or the variable SSL_CERT_FILE.",
    )
