"""A kubeconfig's context: which cluster, as whom, and the credential that a plug-in makes.

The kubernetes package merges and reads the files; what it leaves open is closed here: a plug-in runs with bounds and
its failure is told, the provider of OpenID Connect is verified, and a misspelt context gets near matches.
"""

from __future__ import annotations

import base64
import json
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from urllib3.exceptions import HTTPError

from ci_gitops import masking
from ci_gitops.adapters import process
from ci_gitops.core.installation import IN_CLUSTER
from ci_gitops.core.text import did_you_mean, plain
from ci_gitops.errors import CiGitopsError, SettingsError

FRESH = 60.0  # seconds that a token's file is trusted for; it is replaced in place
_EARLY = 60.0  # seconds before its end that a credential is renewed
_PLUGIN_SECONDS = 60.0
_SECRETS = ("token", "password", "client-key-data")
_OIDC_SECRETS = ("id-token", "refresh-token", "client-secret")


@dataclass(frozen=True, slots=True)
class Access:
    """How the cluster is named on the command line and in the environment."""

    context: str | None
    kubeconfig: str | None  # paths, as in KUBECONFIG; None: ~/.kube/config, else the pod's account
    environ: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], *, context: str | None = None, kubeconfig: Path | None = None
    ) -> Access:
        return cls(context, str(kubeconfig) if kubeconfig else environ.get("KUBECONFIG") or None, environ)

    @property
    def default(self) -> Path:
        return Path(self.environ.get("HOME") or "/") / ".kube" / "config"

    @property
    def by_account(self) -> bool:
        """Whether the pod's account is meant: there is no kubeconfig, and no context of one is named."""
        return not (self.kubeconfig or self.default.exists()) and self.context in (None, IN_CLUSTER)


class Kubeconfig:
    """The chosen context of one or several merged files."""

    def __init__(self, access: Access) -> None:
        self._paths = access.kubeconfig or str(access.default)
        self._environ = access.environ
        if "\n" in self._paths:
            raise SettingsError(
                "KUBECONFIG holds a kubeconfig's text, where the path of a file is expected.",
                hint="In GitLab's settings, give the variable the type File.",
            )
        try:
            self._read(access.context)
        except loading_errors() as error:
            raise unusable(f"kubeconfig {self._paths}", error) from error

    def _read(self, context: str | None) -> None:
        from kubernetes.config.kube_config import KubeConfigMerger

        self._merged = KubeConfigMerger(self._paths).config
        if self._merged is None:
            raise SettingsError(
                f"There is no kubeconfig at {self._paths}.",
                hint=f"Set KUBECONFIG, or pass --kubeconfig FILE; in a pod, --context {IN_CLUSTER} is its own account.",
            )
        self._contexts = {
            item.value["name"]: item.value.get("context") or {} for item in self._merged.value["contexts"]
        }
        self.context = context or str(self._merged.value.get("current-context") or "")
        if self.context not in self._contexts:
            raise self._unknown_context(self._contexts)
        self.source = f"context {self.context} of {self._paths}"
        self.namespace = str(self._contexts[self.context].get("namespace") or "default")
        self._user = self._named("user", self._contexts[self.context].get("user"))
        self._cluster = self._named("cluster", self._contexts[self.context].get("cluster"))
        if not self._cluster.get("server"):
            raise SettingsError(f"The cluster of {self.source} has no server.")
        self.proxy = self._cluster.get("proxy-url")

    def _unknown_context(self, contexts: Mapping[str, object]) -> SettingsError:
        if not self.context:
            message = f"The kubeconfig {self._paths} has no current context."
            return SettingsError(message, hint=f"Pass --context NAME. There are: {', '.join(contexts) or 'none'}.")
        return SettingsError(
            f"The kubeconfig {self._paths} has no context {self.context!r}.",
            hint=did_you_mean(self.context, contexts, "It has") or "It has no context at all.",
        )

    def _named(self, kind: str, name: str | None) -> dict[str, Any]:
        """What the context calls its user or its cluster."""
        for item in self._merged.value[f"{kind}s"]:
            if item.value["name"] == name:
                found: dict[str, Any] = item.value.get(kind) or {}
                return found
        if not name:
            return {}
        raise SettingsError(f"The {kind} {name!r} of {self.source} is not there.")

    def _folder(self, kind: str) -> Path:
        """Where the file lies that holds the user or the cluster."""
        name = self._contexts[self.context].get(kind)
        return next(Path(item.path).parent for item in self._merged.value[f"{kind}s"] if item.value["name"] == name)

    def impersonation(self) -> Iterator[tuple[str, str]]:
        """https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation"""
        if self._user.get("as"):
            yield "Impersonate-User", str(self._user["as"])
        if self._user.get("as-uid"):
            yield "Impersonate-Uid", str(self._user["as-uid"])
        for group in self._user.get("as-groups") or ():
            yield "Impersonate-Group", str(group)
        for name, values in (self._user.get("as-user-extra") or {}).items():
            for value in values:
                yield f"Impersonate-Extra-{urllib.parse.quote(name, safe='')}", str(value)

    def fill(self, configuration: Any, now: float, folder: str) -> float | None:
        """Put what the context says into the package's record; when that must be done again.

        Certificates and keys that the kubeconfig holds as text are written to `folder`.
        """
        from kubernetes.config.kube_config import KubeConfigLoader

        ends = None
        if "exec" in self._user:
            ends = self._ask_plugin(now)
        elif "auth-provider" in self._user:
            self._prepare_provider()
            ends = now + FRESH
        elif "tokenFile" in self._user:
            self._user.pop("token", None)  # the file comes first, for kubectl too
            ends = now + FRESH
        for name in _SECRETS:
            masking.register(str(self._user.get(name) or ""))
        loader = KubeConfigLoader(self._merged, self.context, config_base_path=None, temp_file_path=folder)
        loader.load_and_set(configuration)
        return ends

    def _ask_plugin(self, now: float) -> float | None:
        """https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins"""
        plugin = self._user["exec"]
        cluster = self._cluster_for_plugin() if plugin.get("provideClusterInfo") else None
        status = _run_plugin(plugin, self._folder("user"), self._environ, self.source, cluster)
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
        if status.get("token"):
            self._user["token"] = status["token"]
        if certificate and key:
            self._user["client-certificate-data"] = base64.b64encode(certificate.encode()).decode()
            self._user["client-key-data"] = base64.b64encode(key.encode()).decode()
            masking.register(key)
        end = status.get("expirationTimestamp")
        return max(now + 1, datetime.fromisoformat(end).timestamp() - _EARLY) if end else None

    def _cluster_for_plugin(self) -> dict[str, Any]:
        """https://kubernetes.io/docs/reference/config-api/client-authentication.v1/"""
        names = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
        told = {name: self._cluster[name] for name in names if name in self._cluster}
        if file := self._cluster.get("certificate-authority"):
            content = (self._folder("cluster") / file).read_bytes()
            told.setdefault("certificate-authority-data", base64.b64encode(content).decode())
        for extension in self._cluster.get("extensions") or ():
            if extension.get("name") == "client.authentication.k8s.io/exec":
                told["config"] = extension.get("extension")
        return told

    def _prepare_provider(self) -> None:
        """Without a bundle of its own the package would ask the provider over an unverified connection."""
        settings = self._user["auth-provider"].setdefault("config", {})
        for name in _OIDC_SECRETS:
            masking.register(str(settings.get(name) or ""))
        if not (settings.get("idp-certificate-authority") or settings.get("idp-certificate-authority-data")):
            import certifi

            settings["idp-certificate-authority"] = ssl.get_default_verify_paths().cafile or certifi.where()


def _run_plugin(
    plugin: Mapping[str, Any], folder: Path, environ: Mapping[str, str], source: str,
    cluster: Mapping[str, Any] | None,
) -> Mapping[str, Any]:  # fmt: skip
    version = plugin.get("apiVersion")
    if plugin.get("interactiveMode") == "Always":
        raise CiGitopsError(f"The credential plug-in {plugin['command']} of {source} wants a person to answer it.")
    spec = {"interactive": False, **({"cluster": cluster} if cluster else {})}
    asked = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    added = {item["name"]: str(item["value"]) for item in plugin.get("env") or ()}
    command = plugin["command"]
    if "/" in command:  # relative to the kubeconfig, as kubectl takes it
        command = str(folder / command)
    done = process.run(
        [command, *(plugin.get("args") or ())],
        env={**environ, **added, "KUBERNETES_EXEC_INFO": json.dumps(asked)}, timeout=_PLUGIN_SECONDS,
        output_limit=1024 * 1024,
    )  # fmt: skip
    if done.code:
        raise CiGitopsError(
            f"The credential plug-in {plugin['command']} of {source} failed ({done.code}): {plain(done.errors)[:1000]}",
            hint=plain(str(plugin.get("installHint") or "")) or "Run it by hand to see what it wants.",
        )
    try:
        answer = json.loads(done.stdout)
        status: Mapping[str, Any] = answer["status"]
        fits = answer["apiVersion"] == version and (status.get("token") or status.get("clientCertificateData"))
    except (ValueError, KeyError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise CiGitopsError(
            f"The credential plug-in {plugin['command']} of {source} answered without a credential.",
            hint=f"An ExecCredential of {version} is expected on its standard output.",
        )
    masking.register(status.get("token"))
    return status


def loading_errors() -> tuple[type[Exception], ...]:
    """What the package raises for a file, a pod or a provider that cannot be used."""
    from kubernetes.config.config_exception import ConfigException
    from oauthlib.oauth2 import OAuth2Error  # type: ignore[import-untyped]

    wrong = (OSError, ValueError, KeyError, TypeError, AttributeError)
    return ConfigException, OAuth2Error, HTTPError, yaml.YAMLError, *wrong


def unusable(source: str, error: Exception) -> SettingsError:
    return SettingsError(
        f"No cluster can be reached with {source}: {plain(str(error))}",
        hint="Set KUBECONFIG, or name a context with --context.",
    )
