"""`ci-gitops build`: from a commit to an image in a registry, and its name and digest for the jobs that follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ci_gitops.adapters.handover import must_be_writable, write_document, write_dotenv
from ci_gitops.commands.common import command, option, pass_run
from ci_gitops.output import API_VERSION
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.build import BuildOutcome, build_image
from ci_gitops.steps.build_request import BuildOptions, make_request, registry_access

_FILE = click.Path(path_type=Path)


@command("build", exits=(0, 1, 2, 75))
@click.argument("context", type=_FILE, default=".")
@option("--image", metavar="NAME", help="Name without tag.  [default: $DOCKER_REGISTRY_HOST/$DOCKER_REGISTRY_IMAGE, "
        "else $CI_REGISTRY_IMAGE]")  # fmt: skip
@option("--tag", "tags", multiple=True, metavar="TAG", help="May be given more than once.  [default: $CI_COMMIT_TAG, "
        "else $CI_COMMIT_SHA]")  # fmt: skip
@option("-f", "--file", "dockerfile", type=_FILE, metavar="FILE", help="[default: CONTEXT/Dockerfile]")
@option("--target", metavar="STAGE", help="The stage of the Dockerfile to build.")
@option("--build-arg", "build_args", multiple=True, metavar="KEY[=VALUE]",
        help="Without VALUE it is that of the variable KEY.")  # fmt: skip
@option("--secret", "secrets", multiple=True, metavar="id=ID[,src=FILE|,env=NAME]",
        help="For `RUN --mount=type=secret`; reaches neither layers nor logs.")  # fmt: skip
@option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Wins over the labels that CI's facts give.")
@option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="May be given more than once.")
@option("--cache-from", multiple=True, metavar="IMAGE", help="Use this image's layers as cache.")
@option("--cache-to", multiple=True, metavar="IMAGE", help="Push the cache there.")
@option("--no-cache", is_flag=True, help="Build every step anew.")
@option("--network", metavar="MODE", help="Network of the steps, as the engine names it (none, host).")
@option("--timestamp", type=click.IntRange(min=0), metavar="SECONDS", help="Time of the image and its files, for "
        "equal digests.  [default: $SOURCE_DATE_EPOCH]")  # fmt: skip
@option("--engine", metavar="ENGINE", help="docker, buildkit or buildah.  [default: the first that works here]")
@option("--push/--no-push", default=True, show_default=True, help="Push the image and read its digest back.")
@option("--dotenv", "dotenv_file", type=_FILE, metavar="FILE", help="Write CI_GITOPS_IMAGE, _TAG, _DIGEST and "
        "_IMAGE_REF for GitLab's dotenv report.")  # fmt: skip
@option("--result", "result_file", type=_FILE, metavar="FILE", help="Write the result for `update --from`.")
@option("--registry-user", metavar="NAME", help="Login at the registry.  [default: CI's variables, else Docker's "
        "configuration]")  # fmt: skip
@option("--registry-password-file", type=_FILE, metavar="FILE", help="Its password; or in the variable "
        "CI_GITOPS_BUILD_REGISTRY_PASSWORD.")  # fmt: skip
@option("--ca-file", type=_FILE, metavar="FILE", help="Authority of the registry's certificate.")
@option("--insecure-registry", is_flag=True, help="Take any certificate of the registry, or plain HTTP.")
@option("--timeout", default="1h", show_default=True, metavar="DURATION", help="For the build, and for each push.")
@option("--dry-run", is_flag=True, help="Say what would be built and pushed, and do nothing.")
@pass_run
def cli(run: Run, /, **options: Any) -> Result:
    """Build an image and push it.

    The tag's digest is read back from the registry, and both are handed to later jobs.
    """
    wanted = BuildOptions(**options)
    request = make_request(wanted, run)
    access = registry_access(wanted, request, run)
    for file in (wanted.dotenv_file, wanted.result_file):
        if file:
            must_be_writable(run.cwd / file)
    if wanted.dry_run:
        outcome = BuildOutcome(request.image, request.tags, None, wanted.engine or "the first that works")
        return _result(outcome, f"Would build {', '.join(request.references)} from {request.context}.")
    outcome = build_image(run, request, access, wanted.engine)
    if outcome.unchanged:
        run.output.note(f"{outcome.image}:{outcome.tags[0]} was this image already: nothing has changed.")
    result = _result(outcome, "\n".join(f"{name}={value}" for name, value in outcome.variables.items()))
    if wanted.dotenv_file:
        write_dotenv(run.cwd / wanted.dotenv_file, outcome.variables)
    if wanted.result_file:
        write_document(
            run.cwd / wanted.result_file, {"apiVersion": API_VERSION, "kind": result.kind, **result.document}
        )
    return result


def _result(outcome: BuildOutcome, text: str) -> Result:
    return Result("BuildResult", outcome.document, text)
