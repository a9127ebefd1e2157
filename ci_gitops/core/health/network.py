"""Services and Ingresses: an address where one is expected."""

from __future__ import annotations

from datetime import datetime, timedelta

from ci_gitops.core.health.fields import Object, mappings, since, text
from ci_gitops.core.health.records import Health, healthy, progressing

# Many ingress controllers never publish an address; waiting longer for one would fail deployments that work.
_PATIENCE = timedelta(minutes=1)
# Clouds take a minute or two. Later somebody must look; but what the service is for, only an address tells.
_CLOUD = timedelta(minutes=3)


def service(found: Object, now: datetime | None) -> Health:
    kind = text(found, "spec", "type") or "ClusterIP"
    if kind != "LoadBalancer":
        return healthy(f"A service of type {kind} is ready when it exists")
    address = _address(found)
    if address:
        return healthy(f"Reached at {address}")
    if now is not None and _age(found, now) > _CLOUD:
        return progressing("Its load balancer still gave it no address: does this cluster have a controller for them?")
    return progressing("Its load balancer gave it no address yet")


def ingress(found: Object, now: datetime | None) -> Health:
    address = _address(found)
    if address:
        return healthy(f"Reached at {address}")
    if now is not None and _age(found, now) > _PATIENCE:
        return healthy("No address was published; many ingress controllers never do")
    return progressing("Its ingress controller published no address yet")


def _address(found: Object) -> str | None:
    for entry in mappings(found, "status", "loadBalancer", "ingress"):
        return text(entry, "hostname") or text(entry, "ip") or "an address without a name"
    return None


def _age(found: Object, now: datetime) -> timedelta:
    return since(text(found, "metadata", "creationTimestamp"), now)
