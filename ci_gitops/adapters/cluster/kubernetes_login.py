"""Credentials and connections for one cluster: a kubeconfig's context, else the account of the pod that we run in.

They are had anew when they run out. A private key never stays on disk.
"""

from __future__ import annotations

import hashlib
import ssl
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import urllib3

from ci_gitops import __version__, masking
from ci_gitops.adapters.cluster.kubeconfig import FRESH, Access, Kubeconfig, loading_errors, unusable
from ci_gitops.core.hosts import is_loopback, proxy_for
from ci_gitops.errors import SettingsError

THREADS = 32  # connections that are kept for the next request
_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request takes: where to, over which connections, and the headers that say who we are."""

    host: str
    pool: urllib3.PoolManager
    headers: urllib3.HTTPHeaderDict
    ends: float | None  # when it must be had anew, in seconds of the clock
    mark: str  # of what the connections were made with


class Login:
    """The credentials of one context. Safe to use from several threads."""

    def __init__(self, access: Access, *, clock: Callable[[], float] = time.time) -> None:
        self._access = access
        self._clock = clock
        self._lock = Lock()
        self._config = None if access.by_account else Kubeconfig(access)
        self.namespace = self._config.namespace if self._config else _pod_namespace()
        self.source = self._config.source if self._config else "the pod's account"
        self.cluster = f"cluster {self._config.context if self._config else 'of this pod'}"
        self._grant: Grant | None = None

    @property
    def host(self) -> str:
        return self.grant().host

    def grant(self) -> Grant:
        with self._lock:
            if self._grant is None or (self._grant.ends is not None and self._clock() >= self._grant.ends):
                self._grant = self._load()
            return self._grant

    def renew(self, refused: Grant) -> Grant:
        """Another grant than the one that the server did not take."""
        with self._lock:
            if self._grant is None or self._grant is refused:
                self._grant = self._load()
            return self._grant

    def close(self) -> None:
        if self._grant:
            self._grant.pool.clear()

    def _load(self) -> Grant:
        from kubernetes.client import Configuration

        configuration = Configuration()
        with tempfile.TemporaryDirectory(prefix="ci-gitops-") as folder:
            try:
                ends = self._fill(configuration, folder)
                mark = _mark(configuration)
                same = self._grant is not None and self._grant.mark == mark
                pool = self._grant.pool if self._grant and same else self._pool(configuration)
            except loading_errors() as error:
                raise unusable(self.source, error) from error
        return Grant(configuration.host, pool, self._headers(configuration), ends, mark)

    def _fill(self, configuration: Any, folder: str) -> float | None:
        if self._config:
            return self._config.fill(configuration, self._clock(), folder)
        from kubernetes.config.incluster_config import InClusterConfigLoader

        loader = InClusterConfigLoader(str(_POD / "token"), str(_POD / "ca.crt"), environ=self._access.environ)
        loader.load_and_set(configuration)
        return self._clock() + FRESH

    def _headers(self, configuration: Any) -> urllib3.HTTPHeaderDict:
        headers = urllib3.HTTPHeaderDict({"User-Agent": f"ci-gitops/{__version__}"})
        if not is_loopback(urllib.parse.urlsplit(configuration.host).netloc):
            headers["Accept-Encoding"] = "gzip"  # which costs the server more than a loopback
        if bearer := configuration.api_key.get("BearerToken"):
            headers["Authorization"] = bearer.strip()
            masking.register(bearer.partition(" ")[2].strip())
        for name, value in self._config.impersonation() if self._config else ():
            headers.add(name, value)
        return headers

    def _pool(self, configuration: Any) -> urllib3.PoolManager:
        settings: dict[str, Any] = {"maxsize": THREADS, "retries": False}
        if configuration.host.startswith("https:"):
            settings["ssl_context"] = _tls(configuration)
            if configuration.tls_server_name:
                settings["server_hostname"] = configuration.tls_server_name
        proxy = self._config.proxy if self._config else None
        proxy = proxy or proxy_for(configuration.host, self._access.environ)
        if proxy and proxy.startswith("socks"):
            return _socks(proxy, settings)
        return urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)


def _mark(configuration: Any) -> str:
    """Equal where the connections of before still do."""
    found = hashlib.sha256()
    for file in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file):
        found.update(Path(file).read_bytes() if file else b"")
        found.update(b"\0")
    found.update(f"{configuration.host} {configuration.verify_ssl} {configuration.tls_server_name}".encode())
    return found.hexdigest()


def _tls(configuration: Any) -> ssl.SSLContext:
    """Always verifying, unless the kubeconfig says `insecure-skip-tls-verify`."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Python 3.13 is stricter than every other client: clusters' own authorities lack an extension that it wants.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _socks(proxy: str, settings: dict[str, Any]) -> urllib3.PoolManager:
    try:
        from urllib3.contrib.socks import SOCKSProxyManager
    except ImportError as error:
        raise SettingsError(
            f"The proxy {proxy} needs the package PySocks.", hint="Install it beside ci-gitops, or use an HTTP proxy."
        ) from error
    return SOCKSProxyManager(proxy, **settings)


def _pod_namespace() -> str:
    try:
        return (_POD / "namespace").read_text().strip()
    except OSError as error:
        raise SettingsError(
            "There is no kubeconfig, and this is no pod with an account.",
            hint="Set KUBECONFIG, or pass --kubeconfig FILE; a GitLab agent's job has one by itself.",
        ) from error
