"""Does each destination answer, and may we write to it?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.core.permissions import Extent, Right, in_words, rights
from ci_gitops.errors import CiGitopsError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.settings.environments import Destination
from ci_gitops.steps.checks.base import Finding, Scene, failed
from ci_gitops.steps.preflight import Preflight

#: An ordinary application; what is rendered may take more: that is asked before each deploy.
_ORDINARY: tuple[tuple[str, str], ...] = (("apps/v1", "Deployment"), ("v1", "Service"), ("v1", "ConfigMap"))


def check(scene: Scene) -> Iterator[Finding]:
    for environment in scene.chosen():
        destination = environment.destination
        if destination and not destination.to:
            yield from _look(scene, environment, destination)


def _look(scene: Scene, environment: EnvironmentSettings, destination: Destination) -> Iterator[Finding]:
    where = f"{environment.name}: context {destination.context}" if destination.context else environment.name
    setting = f"{environment.section}.destination.context, or KUBECONFIG"
    try:
        access = Access.from_environ(scene.run.environ, context=destination.context)
        with closing(Kubernetes(access, destination.namespace)) as cluster:
            about = f"{where}: Kubernetes {cluster.version}, namespace {cluster.namespace}"
            denied = Preflight(cluster).missing(_needed(cluster, destination))
    except CiGitopsError as error:
        yield failed("cluster", error, setting)
        return
    if denied:
        yield Finding(
            "cluster", "fail", f"{about}: the account may not {in_words(denied)}.",
            f"the roles that `ci-gitops rbac --environment {environment.name}` prints, for the account of {setting}",
        )  # fmt: skip
    else:
        yield Finding("cluster", "ok", f"{about}: the account may write there.")


def _needed(cluster: Kubernetes, destination: Destination) -> tuple[Right, ...]:
    metadata = {"name": "any", "namespace": cluster.namespace}
    documents = [{"apiVersion": version, "kind": kind, "metadata": metadata} for version, kind in _ORDINARY]
    return rights(documents, (), cluster.resource, Extent(cluster.namespace, prune=destination.prune))
