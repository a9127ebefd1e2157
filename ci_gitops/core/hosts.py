"""Hosts in addresses: which are this machine, which belong together, which are reached through a proxy."""

from __future__ import annotations

import contextlib
import ipaddress
import urllib.parse
from collections.abc import Mapping


def is_loopback(host: str) -> bool:
    name = urllib.parse.urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def same_organisation(registry: str, realm: str) -> bool:
    """Whether a token server is the registry's host, below it, or beside it under the same parent domain."""
    here = urllib.parse.urlsplit(registry).hostname or ""
    there = urllib.parse.urlsplit(realm).hostname or ""
    if there == here or there.endswith(f".{here}"):
        return True
    parent = here.partition(".")[2]
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(here)
        return False
    return "." in parent and (there == parent or there.endswith(f".{parent}"))


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what credentials are for."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for `url`, by the lower-case variable before the upper-case one."""

    def value(name: str) -> str:
        return environ.get(name) or environ.get(name.upper()) or ""

    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    spared = [entry.strip().lstrip("*.").lower() for entry in value("no_proxy").split(",") if entry.strip()]
    if is_loopback(parts.netloc) or any(
        entry in ("", host, parts.netloc) or host.endswith(f".{entry}") for entry in spared
    ):
        return None
    return value(f"{parts.scheme}_proxy") or value("all_proxy") or None
