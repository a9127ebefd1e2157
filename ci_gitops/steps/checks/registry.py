"""Does the registry take our login, and may it push the project's image?"""

from __future__ import annotations

from collections.abc import Iterator

from ci_gitops.adapters.builders.workshop import RegistryAccess
from ci_gitops.adapters.certificates import ca_file
from ci_gitops.adapters.registry_login import login_for
from ci_gitops.core.images import ImageRef
from ci_gitops.errors import CiGitopsError
from ci_gitops.run import Run
from ci_gitops.steps.build import open_registry
from ci_gitops.steps.checks.base import Finding, Scene, failed

_LOGINS = "CI_REGISTRY_USER and CI_REGISTRY_PASSWORD, DOCKER_REGISTRY_USER and DOCKER_REGISTRY_PWD, or `docker login`"


def check(scene: Scene) -> Iterator[Finding]:
    named = _image(scene.run)
    if named is None:
        return
    image, setting = named
    try:
        ref = ImageRef.parse(image)
        login = login_for(ref.registry, scene.run.environ)
        access = RegistryAccess(ref.registry, login, ca_file(scene.run.environ, scene.reach.ca_file))
        registry = open_registry(scene.run, access, tries=1)
        registry.check_login(ref.repository)
        registry.check_push(ref.repository)
    except CiGitopsError as error:
        yield failed("registry", error, f"{setting}; {_LOGINS}")
        return
    who = f"the login from {login.source}" if login else "no login"
    yield Finding("registry", "ok", f"{ref.registry} takes pushes of {ref.repository} with {who}.")


def _image(run: Run) -> tuple[str, str] | None:
    """The image that `build` would push, and the variables that say so."""
    named = run.environ.get("CI_GITOPS_BUILD_IMAGE")
    if named:
        return named, "CI_GITOPS_BUILD_IMAGE"
    host, path = run.environ.get("DOCKER_REGISTRY_HOST"), run.environ.get("DOCKER_REGISTRY_IMAGE")
    if host and path:
        return f"{host}/{path}", "DOCKER_REGISTRY_HOST and DOCKER_REGISTRY_IMAGE"
    return (run.ci.registry_image, "CI_REGISTRY_IMAGE") if run.ci.registry_image else None
