"""Whether a host takes connections at all: Git itself would wait minutes for one that swallows them."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from ci_gitops.adapters.process import PROXY_VARIABLES
from ci_gitops.core.git_urls import GitUrl
from ci_gitops.errors import TemporaryError

_PORTS = {"https": 443, "http": 80}


def check_reachable(url: GitUrl, environ: Mapping[str, str], patience: float) -> None:
    """Raises TemporaryError where no answer to a connection comes within `patience` seconds.

    Everything else that may be wrong is left to Git, which says it better. SSH has a bound of its own, and
    behind a proxy there is nothing to look at.
    """
    proxied = any(environ.get(name) for name in PROXY_VARIABLES if name.lower() != "no_proxy")
    if url.scheme not in _PORTS or proxied:
        return
    try:
        socket.create_connection((url.host, url.port or _PORTS[url.scheme]), timeout=patience).close()
    except TimeoutError as error:
        raise TemporaryError(
            f"{url.clean} cannot be reached: {url.host} does not answer within {patience:.0f} s.",
            hint="Check the address, the network and the proxy settings; then try again.",
        ) from error
    except (OSError, UnicodeError):
        return
