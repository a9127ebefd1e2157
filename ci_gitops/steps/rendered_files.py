"""Where rendered manifests are kept: `dir:PATH`, a folder of this machine, or `dir:PATH@BRANCH`, a branch of their own
in the config repository.
"""

from __future__ import annotations

from pathlib import Path

from ci_gitops.adapters.cluster.branch_files import BranchFiles
from ci_gitops.adapters.cluster.files import Files, LocalFiles
from ci_gitops.adapters.git import Repository
from ci_gitops.adapters.git_access import access_for
from ci_gitops.errors import UsageError
from ci_gitops.run import Run
from ci_gitops.steps.locate import identity
from ci_gitops.steps.people import author
from ci_gitops.steps.workplace import Reach, Workplace

FOLDER = "dir:"


def open_files(run: Run, reach: Reach, place: Workplace, environment: str, destination: str) -> Files:
    """The files behind `destination`; UsageError where it names none. To be closed."""
    path, at, branch = destination.removeprefix(FOLDER).rpartition("@")
    if not at:
        path, branch = branch, ""
    if not path or (at and not branch):
        raise UsageError(f"The destination {destination!r} names no folder.", hint="Write dir:PATH or dir:PATH@BRANCH.")
    if not branch:
        return LocalFiles(_inside(run.cwd, path))
    if branch == place.branch:
        raise UsageError(
            f"{destination!r} names the branch that the manifests are rendered from.",
            hint="Give rendered manifests a branch of their own.",
        )
    url = identity(run, place.url)
    access = access_for(
        url, run.environ, ca_file=reach.ca_file, token_file=reach.token_file, environment=environment
    )  # fmt: skip
    output = run.output
    repository = Repository.open(url, access, progress=output.step, trace=output.command, timeout=reach.timeout)
    try:
        return BranchFiles(repository, branch, path, author(run))
    except BaseException:
        repository.close()
        raise


def _inside(cwd: Path, path: str) -> Path:
    """A relative path may not be led elsewhere by a link that a repository brought along."""
    folder = cwd / path
    if not Path(path).is_absolute() and ".." not in Path(path).parts and not folder.resolve().is_relative_to(
        cwd.resolve()
    ):  # fmt: skip
        raise UsageError(
            f"dir:{path} is a link that leads to {folder.resolve()}.", hint="Name that folder itself where it is meant."
        )
    return folder
