"""Does each destination answer, and may we write to it?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from ci_gitops.adapters.cluster.base import Question
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.errors import CiGitopsError
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.settings.environments import Destination
from ci_gitops.steps.checks.base import Finding, Scene, failed

#: What deploying an ordinary application takes: its objects, and the records in ConfigMaps.
_NEEDED = (("apps", "deployments"), ("", "services"), ("", "configmaps"))
_VERBS = ("get", "create", "patch")


def check(scene: Scene) -> Iterator[Finding]:
    for environment in scene.chosen():
        destination = environment.destination
        if destination and not destination.to:
            yield from _look(scene, environment, destination)


def _look(scene: Scene, environment: EnvironmentSettings, destination: Destination) -> Iterator[Finding]:
    where = f"{environment.name}: context {destination.context}" if destination.context else environment.name
    setting = f"environments.{environment.name}.destination.context, or KUBECONFIG"
    try:
        access = Access.from_environ(scene.run.environ, context=destination.context)
        with closing(Kubernetes(access, destination.namespace)) as cluster:
            about = f"{where}: Kubernetes {cluster.version}, namespace {cluster.namespace}"
            wanted = [Question(verb, *kind, namespace=cluster.namespace) for kind in _NEEDED for verb in _VERBS]
            answers = zip(wanted, cluster.may(wanted), strict=True)
            denied = [f"{each.verb} {each.resource}" for each, allowed in answers if not allowed]
    except CiGitopsError as error:
        yield failed("cluster", error, setting)
        return
    if denied:
        yield Finding(
            "cluster", "fail", f"{about}: the account may not {', '.join(denied)}.",
            f"a RoleBinding in {cluster.namespace} for the account of {setting}",
        )  # fmt: skip
    else:
        yield Finding("cluster", "ok", f"{about}: the account may write there.")
