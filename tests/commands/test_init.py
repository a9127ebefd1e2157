"""`init` on repositories as people have them: what it writes is valid and means what the layout means."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci_gitops import __version__
from ci_gitops.core.first_pipeline import pipeline_text
from ci_gitops.core.starter import look
from ci_gitops.settings import parse_config, resolve
from tests.rig.cli import Cli
from tests.rig.git_server import run_git
from tests.rig.pipelines import MERGE_REQUEST, Project
from tests.rig.template_lint import lint_includes
from tests.rig.templates import template

ROOT = Path(__file__).parents[2]
TREES = {
    "classic": [
        "Dockerfile",
        "src/main.py",
        ".kubernetes/base/kustomization.yaml",
        ".kubernetes/overlays/staging/kustomization.yaml",
        ".kubernetes/overlays/production/kustomization.yaml",
    ],
    "config": ["apps/a/overlays/dev/kustomization.yaml", "apps/b/overlays/prod/kustomization.yaml"],
    "two": ["apps/a/overlays/test/kustomization.yaml", "apps/a/overlays/live/kustomization.yaml"],
    "whole": [
        "Dockerfile",
        "apps/a/overlays/staging/kustomization.yaml",
        "apps/a/overlays/production/kustomization.yaml",
    ],
    "many": [
        "apps/a/overlays/dev/kustomization.yaml",
        "apps/a/overlays/staging/kustomization.yaml",
        "apps/a/overlays/production/kustomization.yaml",
    ],
    "chain": [
        "Dockerfile",
        "apps/a/overlays/dev/kustomization.yaml",
        "apps/a/overlays/staging/kustomization.yaml",
        "apps/a/overlays/production/kustomization.yaml",
    ],
    "unknown": ["apps/a/overlays/fast/kustomization.yaml", "apps/a/overlays/v7/kustomization.yaml"],
    "application": ["services/web/Dockerfile"],
    "mixed": ["Dockerfile", "deploy/overlays/prod/kustomization.yaml"],
    "flux": [
        "apps/base/web/kustomization.yaml",
        "apps/live/kustomization.yaml",
        "apps/staging/kustomization.yaml",
        "infrastructure/configs/kustomization.yaml",
        "clusters/live/flux-system/kustomization.yaml",
    ],
    "empty": ["README.md"],
}
ONE_REPOSITORY = ("classic", "mixed", "whole")


def make(folder: Path, tree: str) -> Path:
    root = folder / "shop"
    for name in TREES[tree]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    run_git("init", "--quiet", root)
    return root


@pytest.mark.parametrize("tree", TREES)
def test_what_is_written_means_what_the_layout_means(tree: str, tmp_path: Path, cli: Cli) -> None:
    root = make(tmp_path, tree)
    ran = cli("init", cwd=root)
    assert (ran.code, ran.err) == (0, "")
    config = parse_config((root / ".ci-gitops.yaml").read_text(), ".ci-gitops.yaml")
    with_file, without = resolve(config, TREES[tree], app_name="shop"), resolve(None, TREES[tree], app_name="shop")
    assert with_file.environments.keys() == without.environments.keys()
    assert {name: app.path for name, app in with_file.apps.items()} == {
        name: app.path for name, app in without.apps.items()
    }
    for branch in ("main", "staging", "develop"):
        assert with_file.environments_for_branch(branch) == without.environments_for_branch(branch)


@pytest.mark.parametrize(
    ("origin", "server"),
    [
        ("git@gitlab.example.com:group/shop.git", "https://gitlab.example.com"),
        ("https://gitlab.example.com:8443/group/shop.git", "https://gitlab.example.com:8443"),
        ("/srv/shop.git", "https://gitlab.com"),
        (None, "https://gitlab.com"),
    ],
)
def test_editors_find_the_schema_by_the_first_line(tmp_path: Path, cli: Cli, origin: str | None, server: str) -> None:
    import jsonschema  # loaded here, since its grammar costs a second

    root = make(tmp_path, "config")
    if origin:
        run_git("-C", root, "remote", "add", "origin", origin)
    assert cli("init", cwd=root).code == 0
    first, _, rest = (root / ".ci-gitops.yaml").read_text().partition("\n")
    place = f"{server}/ci-gitops/ci-gitops/-/raw/v{__version__}/"
    assert first.startswith(f"# yaml-language-server: $schema={place}")
    published = ROOT / first.removeprefix(f"# yaml-language-server: $schema={place}")
    jsonschema.Draft202012Validator(json.loads(published.read_text())).validate(yaml.safe_load(rest))


def test_nothing_is_overwritten_and_a_second_call_changes_nothing(tmp_path: Path, cli: Cli) -> None:
    root = make(tmp_path, "classic")
    mine = "stages: [mine]\n"
    (root / ".gitlab-ci.yml").write_text(mine)
    first = cli("--output", "json", "init", "--ci", "gitlab", cwd=root / "src")
    assert [(file["path"], file["state"]) for file in first.json["files"]] == [
        (".ci-gitops.yaml", "written"),
        (".gitlab-ci.yml", "exists"),
    ]
    assert first.json["sharedRepository"] is True
    written = (root / ".ci-gitops.yaml").read_text()
    again = cli("init", "--ci", "gitlab", cwd=root)
    assert again.code == 0
    assert "is left as it is" in again.out
    assert "Add this to it:" in again.out
    assert "  include:" in again.out
    assert (root / ".ci-gitops.yaml").read_text() == written
    assert (root / ".gitlab-ci.yml").read_text() == mine
    (root / ".gitlab-ci.yml").write_text(first.json["files"][1]["text"])
    assert "Add this" not in cli("init", "--ci", "gitlab", cwd=root).out


def test_a_dry_run_shows_and_touches_nothing(tmp_path: Path, cli: Cli) -> None:
    root = make(tmp_path, "classic")
    ran = cli("init", "--ci", "gitlab", "--dry-run", cwd=root)
    assert ran.code == 0
    assert "+    path: .kubernetes/overlays/{environment}" in ran.out
    assert "+  - project: ci-gitops/ci-gitops" in ran.out
    assert sorted(path.name for path in root.iterdir()) == [".git", ".kubernetes", "Dockerfile", "src"]


def test_links_are_not_followed(tmp_path: Path, cli: Cli) -> None:
    root = make(tmp_path, "config")
    (root / ".ci-gitops.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    assert "is left as it is" in cli("init", cwd=root).out
    assert not (tmp_path / "elsewhere.yaml").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="a read-only mount is not there: run as root")
def test_a_read_only_folder_is_named(tmp_path: Path, cli: Cli) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", tmp_path], check=True)
    try:
        ran = cli("init", cwd=tmp_path)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert ran.code == 1
    assert ".ci-gitops.yaml cannot be written: Read-only file system" in ran.err


def includes(tree: str) -> list[dict[str, Any]]:
    import check_jsonschema  # loaded here, since its grammar costs a second
    import jsonschema

    text = pipeline_text(look(TREES[tree], "shop"), "1.2.3")
    assert text
    assert "&id0" not in text, "an anchor that people read has a name"
    document = yaml.safe_load(text)
    schema = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor" / "gitlab-ci.json"
    jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(document)
    found: list[dict[str, Any]] = document["include"]
    return found


@pytest.mark.parametrize("tree", [tree for tree in TREES if tree not in ("empty", "flux")])
def test_the_include_fits_gitlab_and_our_templates(tree: str) -> None:
    entries = includes(tree)
    assert not list(lint_includes(yaml.safe_dump({"include": entries})))
    assert {entry["ref"] for entry in entries} == {"v1.2.3"}


@pytest.mark.parametrize(
    ("tree", "inputs"),
    [
        ("whole", {"staging-context": "", "production-context": ""}),
        ("two", {"part": "configuration", "staging": "test", "staging-tier": "testing", "staging-context": "",
                 "production": "live", "production-context": ""}),
        ("application", {"part": "application", "staging": "staging"}),
    ],
)  # fmt: skip
def test_who_promotes_gets_the_whole_road_or_its_part(tree: str, inputs: dict[str, str]) -> None:
    (entry,) = includes(tree)
    assert entry["file"] == "/ci-templates/pipeline.yml"
    assert entry["inputs"] == inputs
    document = yaml.safe_load(str(pipeline_text(look(TREES[tree], "shop"), "1.2.3")))
    jobs = template("pipeline").filled(inputs)
    used = {job["stage"] for job in jobs.values() if "stage" in job}
    assert tree == "application" or set(document["stages"]) <= used | {"test"}
    assert "test" in document["stages"], "a stage for the team's own tests"


def test_the_jobs_of_a_written_pipeline(tmp_path: Path) -> None:
    """As gitlab-ci-local reads it: one pipeline for a push, another for a merge request."""
    project = written_pipeline("whole", tmp_path)
    pushed, asked = project.jobs(), project.jobs(MERGE_REQUEST)
    assert {"build-image", "update-config", "deploy-staging", "promote"} <= pushed.keys()
    assert asked.keys() == {"plan-staging", "plan-production"}


def test_one_repository_gets_guards_against_loops() -> None:
    for entry in includes("classic"):
        rules = entry["inputs"]["rules"]
        header = next(iter(yaml.safe_load_all((ROOT / entry["file"].lstrip("/")).read_text())))
        assert rules[:4] == header["spec"]["inputs"]["rules"]["default"][:4], "ours, as the templates know them"
        assert rules[-1]["changes"] == ["*", "[^.]*/**/*"], "not for .kubernetes alone"
        assert '"main"' in rules[-1]["if"]
        assert '"staging"' in rules[-1]["if"]
    assert [entry["inputs"].get("environment") for entry in includes("mixed")] == [None, "prod"]


def test_more_than_two_environments_get_a_promotion_for_each_step() -> None:
    entries = [(entry["file"].rpartition("/")[2], entry["inputs"]) for entry in includes("chain")]
    assert [file for file, _ in entries] == ["build.yml", "update.yml", *["deploy.yml"] * 3, *["promote.yml"] * 2]
    assert entries[1][1]["environment"] == "dev", "builds go to the first alone"
    assert [inputs["tier"] for file, inputs in entries if file == "deploy.yml"] == [
        "development", "staging", "production"
    ]  # fmt: skip
    assert [inputs["to"] for file, inputs in entries if file == "promote.yml"] == ["staging", "production"]
    assert not any(entry["file"].endswith("promote.yml") for entry in includes("unknown")), "their order is not known"


def test_what_was_chosen_is_said_with_its_reason(tmp_path: Path, cli: Cli) -> None:
    root = make(tmp_path, "chain")
    ran = cli("init", cwd=root)
    assert "  dev: pushed to straight; it is the first on the way\n" in ran.out
    assert "  production: changed by merge request; it looks like production\n" in ran.out
    text = (root / ".ci-gitops.yaml").read_text()
    assert "write: merge-request # it comes after dev: what comes is reviewed first; or push\n" in text
    config = parse_config(text, ".ci-gitops.yaml")
    assert [environment.write for environment in config.environments.values()] == ["push"] + ["merge-request"] * 2
    told = cli("-o", "json", "init", cwd=make(tmp_path / "other", "unknown"))
    assert {choice["write"] for choice in told.json["choices"]} == {"merge-request"}
    assert "2 names do not say where they stand" in told.json["doubts"][0]


def test_what_looks_like_a_layout_is_proposed_as_a_comment(tmp_path: Path, cli: Cli) -> None:
    root = make(tmp_path, "flux")
    assert "fill in what the file shows as a comment" in cli("init", cwd=root).out
    text = (root / ".ci-gitops.yaml").read_text()
    assert not parse_config(text, ".ci-gitops.yaml").apps
    head, _, proposed = text.partition("take the lines over.\n#\n")
    config = parse_config(head.split("\n\n")[0] + "\n" + proposed.replace("# ", ""), ".ci-gitops.yaml")
    assert {name: app.path for name, app in config.apps.items()} == {"shop": "apps/{environment}"}
    assert {name: one.write for name, one in config.environments.items()} == {
        "staging": "push",
        "live": "merge-request",
    }


def test_nothing_to_build_means_no_pipeline(tmp_path: Path, cli: Cli) -> None:
    ran = cli("init", "--ci", "gitlab", cwd=make(tmp_path, "empty"))
    assert "nothing to build or deploy" in ran.out
    assert not (tmp_path / "shop" / ".gitlab-ci.yml").exists()


PROMOTION = """\
Merge branch 'ci-gitops/production/shop' into 'main'

deploy(production): web 1.0 -> 1.1

See merge request group/shop!7
"""
#: What may not build anew: our commits, a promotion that `merge` or a person merged, whatever our account does.
OURS: dict[str, dict[str, str | None]] = {
    "our commit": {"CI_COMMIT_MESSAGE": "deploy(staging): web\n\nCi-Gitops-Image: staging/shop web:1 -> :2"},
    "our merge": {"CI_COMMIT_MESSAGE": f"{PROMOTION}\nCi-Gitops-Image: production/shop web:1.0 -> :1.1"},
    "a person's merge": {"CI_COMMIT_MESSAGE": PROMOTION},
    "our account": {"CI_COMMIT_AUTHOR": "ci-gitops <ci-gitops@localhost>"},
}
BUILDS = {"build-image", "update-config"}


def written_pipeline(tree: str, folder: Path) -> Project:
    """A project with what `init` writes, by whose includes the templates of this checkout come."""
    document = yaml.safe_load(str(pipeline_text(look(TREES[tree], "shop"), "1.2.3")))
    document["include"] = [
        {"local": entry["file"].lstrip("/"), "inputs": entry["inputs"]} for entry in document["include"]
    ]
    text = yaml.safe_dump({"stages": ["build", "deploy"], **document}, sort_keys=False)
    return Project.make(folder / tree, folder / "home", text, dict.fromkeys(TREES[tree], "begun"))


def jobs_after(changed: str, project: Project, facts: dict[str, str | None] | None = None) -> set[str]:
    """The jobs of a push to main that changes this file, as gitlab-ci-local reads the rules."""
    before = run_git("-C", project.folder, "rev-parse", "HEAD").strip()
    project.commit({changed: f"changed after {before}"}, "Change")
    run_git("-C", project.folder, "update-ref", "refs/remotes/origin/main", before)
    return {name for name, when in project.jobs(facts).items() if when != "manual"}


def test_a_change_of_the_configuration_alone_builds_nothing(tmp_path: Path) -> None:
    project = written_pipeline("classic", tmp_path)
    assert jobs_after(".kubernetes/overlays/staging/kustomization.yaml", project) == set()
    assert jobs_after("src/deep/main.py", project) == BUILDS


@pytest.mark.parametrize("tree", ["chain", *(pytest.param(tree, marks=pytest.mark.full) for tree in ONE_REPOSITORY)])
def test_the_merge_of_a_promotion_builds_nothing(tree: str, tmp_path: Path) -> None:
    """Each guard by itself, and what people push goes on building."""
    project = written_pipeline(tree, tmp_path)
    for what in ["a person's merge"] if tree == "chain" else OURS:
        begun = jobs_after("Dockerfile", project, OURS[what])
        assert not begun & BUILDS, what
        assert tree == "whole" or not begun, f"{what}: only the whole road goes on, with its deployments"
    assert jobs_after("Dockerfile", project) >= BUILDS
