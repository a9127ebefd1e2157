"""The files of the demo's two repositories: an application, and the configuration that declares where it runs."""

from __future__ import annotations

from ci_gitops.core.layout import CONFIG_FILE

ENVIRONMENTS = ("staging", "production")
FIRST_TAG = "1.0"

_DOCKERFILE = """\
# The smallest image that there is: one file and nothing else.
FROM scratch
COPY index.html /index.html
"""
_PAGE = "<h1>Hello from the shop</h1>\n"

NEXT_PAGE = "<h1>HELLO FROM THE SHOP!!!</h1>\n"

_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: %s
          ports: [{containerPort: 8080}]
"""
_SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""
_NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: shop
"""
_BASE = "resources: [namespace.yaml, deployment.yaml, service.yaml]\n"
_CONFIGURATION = """\
apps:
  shop:
    policies: {"IMAGE": {kind: newest}}  # what `ci-gitops scan` takes
environments:
  staging:
    destination: {to: "simulated:staging.json", namespace: shop-staging, prune: true, drift: heal}
  production:
    write: merge-request
    gates: {healthy: true, soak: 1s, approvals: 1}
    destination: {to: "simulated:production.json", namespace: shop-production, prune: true, drift: heal}
"""
_OVERLAY = """\
resources: [../../base]
namespace: shop-%s
images:
  - name: %s
    newTag: "%s"  # written by ci-gitops; the rest of this file is yours
"""


def _configuration(image: str) -> str:
    return _CONFIGURATION.replace("IMAGE", image)


def application_files() -> dict[str, str]:
    """An application that is built into an image."""
    return {"Dockerfile": _DOCKERFILE, "index.html": _PAGE}


def kustomize_files(image: str) -> dict[str, str]:
    """A config repository with a base and an overlay for each environment."""
    base = {
        CONFIG_FILE: _configuration(image),
        "apps/shop/base/kustomization.yaml": _BASE,
        "apps/shop/base/namespace.yaml": _NAMESPACE,
        "apps/shop/base/deployment.yaml": _DEPLOYMENT % image,
        "apps/shop/base/service.yaml": _SERVICE,
    }
    overlays = {
        f"apps/shop/overlays/{name}/kustomization.yaml": _OVERLAY % (name, image, FIRST_TAG) for name in ENVIRONMENTS
    }
    return {**base, **overlays}


def plain_files(image: str) -> dict[str, str]:
    """The same as plain manifests, for a machine without kustomize."""
    files = {CONFIG_FILE: _configuration(image)}
    for name in ENVIRONMENTS:
        inside = f"  namespace: shop-{name}\n"
        files[f"environments/{name}/shop/namespace.yaml"] = _NAMESPACE.replace("name: shop", f"name: shop-{name}")
        for file, text in (("deployment.yaml", _DEPLOYMENT % f"{image}:{FIRST_TAG}"), ("service.yaml", _SERVICE)):
            files[f"environments/{name}/shop/{file}"] = text.replace("  name: web\n", f"  name: web\n{inside}", 1)
    return files
