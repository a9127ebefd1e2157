"""A Kubernetes cluster, written by server-side apply.

The kubernetes package brings kubeconfig, in-cluster and plug-in authentication and its connection pool;
requests and answers are plain JSON, never its generated models.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3

from ci_gitops.adapters.cluster.base import Applied
from ci_gitops.core.manifests import Manifest
from ci_gitops.errors import ClusterError, SettingsError, TemporaryError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

FIELD_MANAGER = "ci-gitops"
_TIMEOUT = 35.0  # the API server's webhooks may take 30
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_JSON = "application/json"
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_TEMPORARY = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Access:
    """Which cluster, and as whom: a context of a kubeconfig, else the account of the pod that we run in."""

    context: str | None
    kubeconfig: str | None  # paths, as in KUBECONFIG; None: ~/.kube/config

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], *, context: str | None = None, kubeconfig: Path | None = None
    ) -> Access:
        return cls(context, str(kubeconfig) if kubeconfig else environ.get("KUBECONFIG") or None)


class Kubernetes:
    def __init__(self, access: Access, namespace: str | None) -> None:
        self._client, own_namespace = _connect(access)
        self._namespace = namespace or own_namespace
        self._name = f"context {access.context}" if access.context else self._client.configuration.host
        self._resources = cache(self._discover)

    def __str__(self) -> str:
        return f"cluster {self._name}"

    def apply(self, manifest: Manifest, *, dry_run: bool) -> Applied:
        path = self._path(manifest)
        live = self._call("GET", path, manifest, absent_is_none=True)
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        # In a dry run the namespace may be one that is only declared.
        applied = self._call(
            "PATCH", f"{path}?{urllib.parse.urlencode(query)}", manifest, body=manifest.document, absent_is_none=dry_run
        )
        if live is None or applied is None:
            return Applied(manifest, "create")
        return Applied(manifest, "unchanged" if _significant(live) == _significant(applied) else "update")

    def close(self) -> None:
        """Give up the connections that wait for the next request."""
        self._client.rest_client.pool_manager.clear()

    @property
    def version(self) -> str:
        return str(self._call("GET", "/version", None)["gitVersion"])

    @property
    def api_versions(self) -> tuple[str, ...]:
        """What the server knows, as Helm's charts ask for it: `group/version` and `group/version/Kind`
        (https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery).
        """
        found: dict[str, None] = {}
        for path in ("/api", "/apis"):
            for group in self._call("GET", path, None, accept=_AGGREGATED).get("items", []):
                name = group["metadata"].get("name")
                for version in group["versions"]:
                    served = f"{name}/{version['version']}" if name else version["version"]
                    kinds = (item["responseKind"]["kind"] for item in version.get("resources", []))
                    found.update(dict.fromkeys((served, *(f"{served}/{kind}" for kind in kinds))))
        return tuple(found)

    @property
    def namespace(self) -> str:
        """Where objects go that name no namespace."""
        return self._namespace

    def may(self, verb: str, group: str, resource: str) -> bool:
        """Whether the account is allowed that in the namespace
        (https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access).
        """
        attributes = {"namespace": self._namespace, "verb": verb, "group": group, "resource": resource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self._call("POST", path, None, body=review, content=_JSON)
        return bool(answer["status"]["allowed"])

    def _path(self, manifest: Manifest) -> str:
        prefix = f"/apis/{manifest.api_version}" if "/" in manifest.api_version else f"/api/{manifest.api_version}"
        known = self._resources(prefix)
        if manifest.kind not in known:
            raise ClusterError(
                f"{self} knows no kind {manifest.kind} in {manifest.api_version}.",
                hint="Is its CustomResourceDefinition installed, and does the apiVersion fit the cluster?",
            )
        plural, namespaced = known[manifest.kind]
        name = urllib.parse.quote(manifest.name, safe="")
        if not namespaced:
            return f"{prefix}/{plural}/{name}"
        namespace = urllib.parse.quote(manifest.namespace or self._namespace, safe="")
        return f"{prefix}/namespaces/{namespace}/{plural}/{name}"

    def _discover(self, prefix: str) -> dict[str, tuple[str, bool]]:
        """kind -> (plural, whether it lives in namespaces), of one group and version."""
        found = self._call("GET", prefix, None, absent_is_none=True) or {}
        resources = found.get("resources", [])
        return {item["kind"]: (item["name"], item["namespaced"]) for item in resources if "/" not in item["name"]}

    def _call(
        self,
        method: str,
        path: str,
        about: Manifest | None,
        *,
        body: Mapping[str, Any] | None = None,
        content: str = "application/apply-patch+yaml",
        accept: str = _JSON,
        absent_is_none: bool = False,
    ) -> Any:
        headers = {"Accept": accept}
        data: Any = None
        if body is not None:
            headers["Content-Type"] = content
            data = body if content == _JSON else json.dumps(body).encode()  # the package encodes JSON itself
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        try:
            answer = self._client.call_api(
                method, self._client.configuration.host + path, headers, data, _request_timeout=_TIMEOUT
            )
            text = answer.read().decode(errors="replace")
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise TemporaryError(f"{self} does not answer: {reason}") from error
        if answer.status == 404 and absent_is_none:
            return None
        if answer.status >= 300:
            raise self._refusal(answer.status, text, about)
        return json.loads(text)

    def _refusal(self, status: int, text: str, about: Manifest | None) -> ClusterError | TemporaryError:
        try:
            message = json.loads(text).get("message") or text
        except ValueError:
            message = text[:500]
        what = f"{about}: " if about else ""
        # An object that does not fit its schema is answered with 500 too.
        if status in _TEMPORARY and "typed patch object" not in message:
            return TemporaryError(f"{what}{self} answered {status}: {message}")
        hint = None
        if status in (401, 403):
            hint = "The account of this kubeconfig or pod needs that permission."
        elif status == 404:
            hint = "The namespace must be there: declare it in the target, or make it by hand."
        elif status == 409:
            hint = "Another manager owns these fields: take them out of Git, or let that manager give them up."
        return ClusterError(f"{what}{self} refused: {message}", hint=hint)


def _significant(document: Any) -> Any:
    """A live object without what changes by itself when it is written."""
    metadata = {
        key: value
        for key, value in document["metadata"].items()
        if key not in ("managedFields", "resourceVersion", "generation")
    }
    return {**document, "metadata": metadata, "status": None}


def _connect(access: Access) -> tuple[ApiClient, str]:
    """The package's client, and the namespace that the context names."""
    import kubernetes.config as configs
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config.config_exception import ConfigException

    configuration = Configuration()
    configuration.retries = urllib3.Retry(0)
    try:
        if access.context or access.kubeconfig or Path("~/.kube/config").expanduser().exists():
            configs.load_kube_config(access.kubeconfig, access.context, configuration, persist_config=False)
            contexts, active = configs.list_kube_config_contexts(access.kubeconfig)
            chosen = next((item for item in contexts if item["name"] == access.context), active)
            namespace = chosen["context"].get("namespace") or "default"
        else:
            configs.load_incluster_config(configuration)
            namespace = _POD_NAMESPACE.read_text().strip()
    except (ConfigException, OSError) as error:
        raise SettingsError(
            f"No cluster can be reached with this configuration: {error}",
            hint="Set KUBECONFIG, or name a context with --context.",
        ) from error
    return ApiClient(configuration), namespace
