"""What `init` writes for one repository with three environments, run as it is: on real Git, a registry and buildah."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import yaml

from ci_gitops.adapters.forges.base import MergeCall
from tests.rig.cli import Cli
from tests.rig.git_server import run_git
from tests.rig.pipelines import said
from tests.rig.team import APPLICATION, DEPLOYMENT, NAME, OVERLAY, Team

WAY = ("dev", "staging", "production")


def written(cli: Cli, folder: Path, files: dict[str, str]) -> dict[str, str]:
    """The two files of `init`; the templates come from this checkout."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    run_git("init", "-q", folder)
    assert cli("init", "--ci", "gitlab", cwd=folder).code == 0
    pipeline = yaml.safe_load((folder / ".gitlab-ci.yml").read_text())
    pipeline["include"] = [
        {"local": entry["file"].lstrip("/"), "inputs": entry["inputs"]} for entry in pipeline["include"]
    ]
    pipeline["include"][0]["inputs"]["engine"] = "buildah"
    return {
        ".gitlab-ci.yml": yaml.safe_dump(pipeline, sort_keys=False),
        ".ci-gitops.yaml": (folder / ".ci-gitops.yaml").read_text(),
    }


@pytest.mark.full
def test_from_a_push_to_production_along_each_step(team: Team, cli: Cli, tmp_path: Path) -> None:
    files = dict(APPLICATION)
    for name in WAY:
        files[f"apps/shop/overlays/{name}/kustomization.yaml"] = OVERLAY.replace("IMAGE", team.image)
        files[f"apps/shop/overlays/{name}/deployment.yaml"] = DEPLOYMENT
    project = team.project(NAME, "all", files)
    commit = project.commit(written(cli, tmp_path / "first", files), "Let ci-gitops build and update")
    run_git("-C", project.folder, "push", "-q", team.server.bare(NAME), "main")
    out = team.run(project)
    assert f"newTag: '{commit}'" in team.overlay("dev"), out
    assert "newTag: '1'" in team.overlay("staging")
    for before, environment in itertools.pairwise(WAY):
        team.pull(project, NAME)
        out = team.run(project)
        assert "build-image" not in out, f"what is written to {before} builds nothing"
        assert "update-config" not in out
        out = team.run(project, {}, f"promote-to-{environment}")
        (request,) = team.rig.forge("bob").find()
        assert request.source == f"ci-gitops/{environment}/shop", said(out, f"promote-to-{environment}")
        outcome = team.rig.forge("bob").merge(request.iid, MergeCall(request.head_sha))
        assert outcome.state == "merged"
        assert f"newTag: '{commit}'" in team.overlay(environment)
    team.pull(project, NAME)
    message = run_git("-C", project.folder, "log", "-1", "--format=%B")
    assert message.startswith("Merge branch 'ci-gitops/production/shop' into 'main'"), "as a person merges it"
    assert "build-image" not in team.run(project)
