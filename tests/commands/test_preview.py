"""`preview` on real Git, on the local forge and on the fakes of GitLab and GitHub."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from ci_gitops.adapters.forges import open_forge
from ci_gitops.adapters.forges.base import NewMergeRequest
from ci_gitops.adapters.git import GitAccess, Person, Repository
from ci_gitops.commands.preview import cli as preview
from ci_gitops.core.trailers import parse_trailers
from ci_gitops.errors import CiGitopsError
from ci_gitops.output import Output
from ci_gitops.run import Run
from tests.commands.test_update import BASE, DEPLOYMENT, DIGEST, OVERLAY, WEB
from tests.fakes.clock import Clock
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.rig.cli import Cli
from tests.rig.cluster import Cluster
from tests.rig.git_server import GitServer, run_git
from tests.rig.renderers import renderer_path

API = "registry.example.com/shop/api"
CONFIG = b"""\
version: 1
name: acme
environments:
  staging: {}
  production: {write: merge-request}
previews:
  from: staging
  url: "https://{name}.preview.example.com"
"""
VALUES = b'apps: {shop: {path: "charts/shop/values-{environment}.yaml"}}\n'
SHARED = b"apps: {shop: {path: charts/shop, helm: {values: [values.yaml]}}}\n"
TEMPLATE = b"""\
resources:  # of every preview
- ../../base
- namespace.yaml
"""
NAMESPACE = b"""\
apiVersion: v1
kind: Namespace
metadata:
  name: ${preview.namespace}
  labels: {app: "${preview.app}"}
  annotations:
    preview: ${preview.name}
    url: "${preview.url}/"
"""
FILES = {
    ".ci-gitops.yaml": CONFIG,
    "apps/shop/base/kustomization.yaml": BASE,
    "apps/shop/base/deployment.yaml": DEPLOYMENT,
    "apps/shop/overlays/staging/kustomization.yaml": OVERLAY,
    "apps/shop/overlays/production/kustomization.yaml": OVERLAY,
    "apps/shop/overlays/preview/kustomization.yaml": TEMPLATE,
    "apps/shop/overlays/preview/namespace.yaml": NAMESPACE,
}
PLACE = "apps/shop/overlays/preview-12"
RECORD = ".ci-gitops/previews/preview-12.yaml"


class Team:
    """A config repository, and the jobs that make previews in it."""

    def __init__(
        self, cli: Cli, server: GitServer, files: Mapping[str, bytes] = FILES, name: str = "config",
        env: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.cli, self.server, self.name, self.env = cli, server, name, dict(env or {})
        self.url = server.create(name, dict(files))
        self.folder = str(server.bare(name))
        self.repo = self.url if env else self.folder

    def __call__(self, *arguments: object, code: int = 0, **variables: str) -> Any:
        """Run a command; `preview` in this process, which is faster."""
        env = {**self.env, **variables}
        if arguments[0] == "preview":
            return self._here([*map(str, arguments[1:]), "--repo", self.repo], code, {**self.cli.env, **env})
        ran = self.cli("-o", "json", *arguments, "--repo", self.repo, env=env)
        assert ran.code == code, (ran.out, ran.err)
        return ran.json

    def _here(self, arguments: list[str], code: int, environ: Mapping[str, str]) -> Any:
        run = Run(environ, Path(self.folder).parent, output=Output(err=io.StringIO()))
        ended, document = 0, {}
        try:
            done = preview.main(arguments, standalone_mode=False, obj=run)
            document = {"kind": done.kind, **done.document}
        except click.UsageError as error:
            ended, document = error.exit_code, {"error": {"message": error.message}}
        except CiGitopsError as error:
            ended, document = error.exit_code, dict(error.result.document if error.result else {})
            document["error"] = {"message": error.message, "hint": error.hint}
        assert ended == code, document
        return document

    def create(self, name: str = "12", *arguments: object, code: int = 0, **variables: str) -> Any:
        forge = ["--forge", self.env["CI_GITOPS_FORGE"]] if self.env else []
        return self("preview", "create", "--name", name, *forge, *arguments, code=code, **variables)

    def delete(self, name: str = "12", *arguments: object, code: int = 0) -> Any:
        return self("preview", "delete", "--name", name, *arguments, code=code)

    def files(self, below: str = "") -> set[str]:
        listed = run_git("--git-dir", self.folder, "ls-tree", "-r", "--name-only", "main").split("\n")
        return {path for path in listed if path.startswith(below) and path}

    def read(self, path: str) -> str:
        return self.server.read(self.name, path).decode()

    def commit(self, files: Mapping[str, bytes], message: str = "By hand") -> None:
        self.server.commit(self.name, dict(files), message)

    def head(self) -> str:
        return self.server.head(self.name) or ""

    def age(self, *days: int, path: str = RECORD) -> None:
        """Let a preview be made so many days ago."""
        text = re.sub(r"(?<=At: ')20..-..-..", f"2026-01-{days[0]:02}", self.read(path))
        self.commit({path: text.encode()}, "Time goes by")


@pytest.fixture
def team(cli: Cli, git_server: GitServer) -> Team:
    return Team(cli, git_server)


def test_a_preview_from_its_first_day_to_its_last(team: Team) -> None:
    before = team.files()
    planned = team.create("12", f"{WEB}:2", "--dry-run")
    assert (planned["kind"], planned["outcome"], team.files()) == ("PreviewResult", "planned", before)
    made = team.create("12", f"{WEB}:2@{DIGEST}")
    assert (made["action"], made["outcome"], made["commit"]) == ("create", "pushed", team.head())
    (preview,) = made["previews"]
    assert {key: preview[key] for key in ("name", "environment", "namespace", "apps", "url", "from", "expired")} == {
        "name": "12", "environment": "preview-12", "namespace": "preview-12", "apps": ["shop"],
        "url": "https://12.preview.example.com", "from": "staging", "expired": False,
    }  # fmt: skip
    assert team.files() - before == {RECORD, f"{PLACE}/kustomization.yaml", f"{PLACE}/namespace.yaml"}
    assert team.read(f"{PLACE}/kustomization.yaml") == TEMPLATE.decode() + (
        f'namespace: preview-12\nimages:\n- name: {WEB}\n  newTag: "2"\n  digest: {DIGEST}\n'
        f"- name: {API}\n  newTag: v7\n"
    )
    assert team.read(f"{PLACE}/namespace.yaml") == (
        NAMESPACE.decode()
        .replace("${preview.namespace}", "preview-12")
        .replace("${preview.app}", "shop")
        .replace("${preview.name}", '"12"')
        .replace("${preview.url}", "https://12.preview.example.com")
    )
    trailers = parse_trailers(team.server.messages("config")[0])
    assert {(move.target, move.name, move.new) for move in trailers.images} == {
        ("preview-12/shop", WEB, f"{WEB}:2@{DIGEST}"), ("preview-12/shop", API, f"{API}:v7")
    }  # fmt: skip
    again = team.cli("-o", "json", "preview", "create", f"{WEB}:2@{DIGEST}", CI_GITOPS_PREVIEW_CREATE_NAME="12",
                     CI_GITOPS_REPO=team.repo).json  # fmt: skip
    assert again["kind"] == "PreviewResult"
    assert (again["outcome"], again["commit"], team.head()) == ("unchanged", None, made["commit"])
    listed = team("preview", "list")
    assert [each["name"] for each in listed["previews"]] == ["12"]
    assert listed["previews"][0] == preview
    gone = team.delete()
    assert (gone["outcome"], gone["cleanup"], team.files()) == ("pushed", [], before)
    assert team.delete()["outcome"] == "unchanged"
    assert team("preview", "list")["previews"] == []


def test_images_of_several_projects_come_together(team: Team, tmp_path: Path) -> None:
    def pipeline(project: str, number: int) -> dict[str, str]:
        return {"GITLAB_CI": "true", "CI_PROJECT_PATH": project, "CI_PIPELINE_ID": str(number)}

    first = team.create("12", f"{WEB}:2", "--dotenv", tmp_path / "preview.env", **pipeline("shop/web", 20))
    assert (tmp_path / "preview.env").read_text() == (
        f"CI_GITOPS_ENVIRONMENT=preview-12\nCI_GITOPS_COMMIT={first['commit']}\n"
        "CI_GITOPS_PREVIEW_URL=https://12.preview.example.com\n"
    )
    team.create("12", f"{API}:v9", **pipeline("shop/api", 3))
    text = team.read(f"{PLACE}/kustomization.yaml")
    assert 'newTag: "2"' in text
    assert "newTag: v9" in text
    older = team.create("12", f"{WEB}:1", **pipeline("shop/web", 19))
    assert older["outcome"] == "unchanged"
    assert "older 19" in older["notes"][0]
    team.commit({"apps/shop/overlays/staging/kustomization.yaml": OVERLAY.replace(b"v7", b"v8")})
    assert team.create("12")["outcome"] == "unchanged"  # both are the preview's own by now
    team.create("13")
    assert "newTag: v8" in team.read("apps/shop/overlays/preview-13/kustomization.yaml")
    assert team.create("14", "registry.example.com/shop/wbe:1", code=1)["error"]["hint"].startswith("Did you mean")


CHARTS = {
    ".ci-gitops.yaml": b"""\
apps:
  web: {path: "charts/web/values-{environment}.yaml"}
  api: {path: charts/api, helm: {values: ["env/{environment}.yaml"]}}
  job: {path: "plain/{environment}"}
  tools: {path: tools}
environments: {staging: {}}
previews: {from: staging, destination: "dir:out"}
""",
    **{
        f"charts/{name}/{file}": content
        for name, values in (("web", "values-{}.yaml"), ("api", "env/{}.yaml"))
        for file, content in {
            "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n".encode(),
            "values.yaml": b"image: {repository: web, tag: '0'}\nhost: none\n",
            "templates/pod.yaml": b"apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Release.Name }}, labels: "
            b"{host: {{ .Values.host }}}}\nspec: {containers: [{name: a, image: '{{ .Values.image.repository }}:"
            b"{{ .Values.image.tag }}'}]}\n",
            values.format("staging"): b"image: {repository: web, tag: '1'}\n",
            values.format("preview"): b"image: {repository: web, tag: '0'}\nhost: ${preview.namespace}\n",
        }.items()
    },
    "plain/staging/pod.yaml": b"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: "
    b"'job:3'}]}\n",
    "plain/preview/pod.yaml": b"apiVersion: v1\nkind: Pod\nmetadata: {name: p-${preview.name}}\nspec:\n  containers:\n"
    b"  - {name: a, image: 'job:0'}\n",
    "tools/pod.yaml": b"apiVersion: v1\nkind: Pod\nmetadata: {name: t}\nspec: {containers: [{name: a, image: x}]}\n",
}


def test_charts_and_plain_manifests(cli: Cli, git_server: GitServer) -> None:
    path = f"{renderer_path('kustomize', 'helm')}:{cli.env['PATH']}"
    team = Team(replace(cli, env={**cli.env, "PATH": path}), git_server, CHARTS)
    before = team.files()
    made = team.create("12", "web:7", "--check")
    assert made["previews"][0]["apps"] == ["web", "api", "job"]
    assert team.files() - before == {
        "charts/web/values-preview-12.yaml", "charts/api/env/preview-12.yaml", "plain/preview-12/pod.yaml", RECORD
    }  # fmt: skip
    assert team.read("charts/api/env/preview-12.yaml") == "image: {repository: web, tag: '7'}\nhost: preview-12\n"
    assert "name: p-12}" in team.read("plain/preview-12/pod.yaml")
    assert "image: 'job:3'" in team.read("plain/preview-12/pod.yaml")
    manifests = team.cli("render", "--repo", team.repo, "--environment", "preview-12").out
    assert manifests.count("image: web:7") == 2
    assert "name: t\n" not in manifests
    assert sorted(team("preview", "delete", "--name", "12", "--dry-run")["cleanup"]) == [
        f"ci-gitops delete --repo {team.repo} --branch main --revision {team.head()} --environment preview-12 "
        f"--app {app} --yes"
        for app in ("api", "job", "web")
    ]
    team.delete()
    assert team.files() == before


def test_what_people_did_is_not_lost(team: Team) -> None:
    team.create()
    team("update", f"{WEB}:5", "--environment", "preview-12")
    team.commit({f"{PLACE}/notes.md": b"mine\n"})
    refused = team.delete(code=5)
    assert refused["error"]["message"] == f"The preview '12' stays: {PLACE}/notes.md was put there by others."
    changed = team.read(f"{PLACE}/namespace.yaml") + "# mine\n"
    run_git("--git-dir", team.folder, "update-ref", "refs/heads/main", f"{team.head()}~1")
    team.commit({f"{PLACE}/namespace.yaml": changed.encode()})
    assert "namespace.yaml was changed by others" in team.delete(code=5)["error"]["message"]
    kept = team.create("12", f"{WEB}:6")
    assert team.read(f"{PLACE}/namespace.yaml") == changed
    assert "was changed by others" in kept["notes"][0]
    assert 'newTag: "6"' in team.read(f"{PLACE}/kustomization.yaml")
    assert "namespace.yaml was changed by others" in team.delete(code=5)["error"]["message"]
    team.delete("12", "--force")
    assert not team.files(PLACE)


def test_only_what_was_made_is_removed(team: Team) -> None:
    team.commit({f"{PLACE}/kustomization.yaml": b"resources: [../../base]\n"})
    assert "no preview made it" in team.create(code=5)["error"]["message"]
    assert "was not made by" in team.delete(code=5)["error"]["message"]
    team.delete("12", "--force", code=5)
    assert team.delete("11")["notes"] == ["There is no preview '11'."]
    team.create("13")
    assert team.delete("14")["notes"][1] == "Previews: 13."
    assert team.delete("31")["notes"] == ["There is no preview '31'.", "Previews: 13."]
    team.commit({".ci-gitops/previews/preview-13.yaml": b"name: x\n"})
    assert "is not understood" in team.delete("13", code=2)["error"]["message"]


def test_a_template_moves_on_and_its_previews_with_it(team: Team) -> None:
    team.create()
    run_git("--git-dir", team.folder, "update-ref", "refs/heads/before", "main")
    team.commit({"apps/shop/overlays/preview/kustomization.yaml": b"resources: [../../base]\nnamePrefix: new-\n"})
    assert team.create()["outcome"] == "pushed"
    text = team.read(f"{PLACE}/kustomization.yaml")
    assert text.startswith("resources: [../../base]\nnamePrefix: new-\nnamespace: preview-12\nimages:\n")
    assert f"{PLACE}/namespace.yaml" in team.files()  # the template has it still


def test_time_is_over(team: Team) -> None:
    team.create("12")
    team.create("13", "--ttl", "never")
    team.create("14", "--ttl", "900d")
    for name in ("12", "13", "14"):
        team.age(1, path=f".ci-gitops/previews/preview-{name}.yaml")
    team.create("15")
    assert [each["expired"] for each in team("preview", "list")["previews"]] == [True, False, False, False]
    assert team("preview", "prune", "--dry-run")["outcome"] == "planned"
    team("hold", "--environment", "preview-12", "--reason", "the demo is tomorrow")
    kept = team("preview", "prune")
    assert (kept["outcome"], kept["kept"][0]["name"]) == ("unchanged", "12")
    assert "the demo is tomorrow" in kept["kept"][0]["reason"]
    assert "the demo is tomorrow" in team.create("12", f"{WEB}:3", code=5)["error"]["message"]
    team("release", "--environment", "preview-12", "--reason", "it was")
    gone = team("preview", "prune")
    assert (gone["outcome"], [each["name"] for each in gone["previews"]]) == ("pushed", ["12"])
    assert not {path for path in team.files() if "preview-12" in path}
    assert team("preview", "prune")["outcome"] == "unchanged"


def test_a_call_renews_what_is_old_and_no_sooner(team: Team) -> None:
    team.create("12", "--ttl", "900d")
    assert team.create("12", "--ttl", "900d")["outcome"] == "unchanged"
    team.age(1)
    assert team.create()["outcome"] == "unchanged"
    team.create("12", "--ttl", "300d")
    team.age(2)
    renewed = team.create()
    assert renewed["outcome"] == "pushed"
    assert [edit["path"] for edit in renewed["edits"]] == [RECORD]
    assert team.server.messages("config")[0] == "preview: renew 12"


def test_many_at_once_all_land(team: Team) -> None:
    with ThreadPoolExecutor(4) as pool:
        names = [f"feature/{number}" for number in range(4)]
        made = list(pool.map(lambda name: team.create(name, f"{WEB}:{name[-1]}"), names))
    assert {each["outcome"] for each in made} == {"pushed"}
    assert {each["name"] for each in team("preview", "list")["previews"]} == set(names)
    assert len(team.files("apps/shop/overlays/preview-")) == 8


def test_made_and_removed_at_once_it_is_there_or_not(team: Team) -> None:
    team.create()
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(team.create, "12", f"{WEB}:9"), pool.submit(team.delete)]
    assert {job.result()["outcome"] for job in jobs} <= {"pushed", "unchanged"}
    left = {path for path in team.files() if "preview-12" in path}
    assert left in (set(), {RECORD, f"{PLACE}/kustomization.yaml", f"{PLACE}/namespace.yaml"})


@pytest.mark.parametrize(
    ("files", "code", "message"),
    [
        ({".ci-gitops.yaml": b"version: 1\n"}, 2, "has no previews"),
        ({".ci-gitops.yaml": CONFIG + b"  template: other/{app}\n"}, 2, "looked for: other/shop"),
        ({".ci-gitops.yaml": CONFIG + VALUES}, 2, "add charts/shop/values-preview.yaml, like that of another"),
        ({".ci-gitops.yaml": CONFIG + SHARED}, 2, "put {environment} into apps.shop.path or into a name of"),
        ({"apps/shop/overlays/preview/namespace.yaml": b"a: ${preview.nam}\n"}, 1, "no placeholder ${preview.nam}"),
        ({".ci-gitops.yaml": CONFIG + b"  template: t/{app}\n", "t/shop/kustomization.yaml": b"resources: [../x]\n",
          "t/x/kustomization.yaml": b"resources: []\n"}, 1, "leads nowhere from"),
        ({"apps/shop/overlays/preview/namespace.yaml": b"kind: Namespace\n"}, 1, "shop in preview-12"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(team: Team, files: dict[str, bytes], code: int, message: str) -> None:
    team.commit(files)
    before = team.head()
    error = team.create("12", "--check", code=code)["error"]
    assert message in f"{error['message']} {error['hint']}"
    assert team.head() == before
    team.create(" ", code=2)
    team.create("12", "--mr", "soon", code=2)


# The merge request that it is for


def test_a_promotion_on_the_local_forge(team: Team) -> None:
    team("update", f"{WEB}:4", "--environment", "production")
    made = team.create("12", "--mr", "1")
    assert made["previews"][0]["from"] == "production"
    team.create("15", "--mr", "1", "--from", "staging")
    assert 'newTag: "1.1"' in team.read("apps/shop/overlays/preview-15/kustomization.yaml")
    assert made["previews"][0]["mergeRequest"]["iid"] == 1
    assert "as merge request 1 would leave them" in made["notes"][0]
    assert 'newTag: "4"' in team.read(f"{PLACE}/kustomization.yaml")
    with Repository.open(team.folder, GitAccess()) as repository:
        forge = open_forge("local", repository, Person("robot", "robot@example.com"))
        comment, _ = forge.comments(1)
        assert (comment.key, "https://12.preview.example.com" in comment.text) == ("preview-12", True)
        team.delete()
        comment, _ = forge.comments(1)
        assert comment.text == "The preview `preview-12` was removed."
    team.create("13", "--mr", "9", code=1)


@pytest.mark.parametrize(
    "server", ["https://evil.example.com", "http://git.example.com", "https://git.example.com:8443"]
)
def test_a_record_sends_no_token_to_a_server_of_its_choice(team: Team, server: str) -> None:
    team.create()
    asked = f"mergeRequest: {{repository: '{server}/a/b.git', iid: 1}}\n"
    team.commit({RECORD: (team.read(RECORD) + asked).encode()})
    deleted = team(
        "preview", "delete", "--name", "12", GITLAB_CI="true", CI_SERVER_URL="https://git.example.com", CI_JOB_TOKEN="t"
    )
    assert "it is on another server" in deleted["notes"][0]


def test_another_project_does_not_take_a_preview_away(team: Team) -> None:
    for name in ("web", "api"):
        url = str(team.server.bare(name)) if team.server.create(name, {"a": b"a\n"}) else ""
        run_git("--git-dir", url, "update-ref", "refs/heads/topic", "main")
        team.server.commit(name, {"b": b"b\n"}, "Topic", "topic")
        with Repository.open(url, GitAccess()) as repository:
            forge = open_forge("local", repository, Person("robot", "robot@example.com"))
            forge.open(NewMergeRequest("topic", "main", "Topic"))
    web, api = (f"{team.server.bare(name)}!1" for name in ("web", "api"))
    assert team.create("12", "--mr", web)["notes"] == []
    refused = team.create("12", "--mr", api, code=5)
    assert "is that of merge request 1 of" in refused["error"]["message"]
    assert team.create("13", "--mr", api)["outcome"] == "pushed"
    nobody = team.create("14", "--mr", api.replace("!1", "!7"))
    assert (nobody["outcome"], "No comment on merge request 7" in nobody["notes"][0]) == ("pushed", True)


@pytest.fixture
def gitlab(cli: Cli, git_server: GitServer) -> Iterator[tuple[Team, FakeGitLab]]:
    git_server.user = "oauth2"
    team = Team(cli, git_server, FILES, "group/config", {"CI_GITOPS_FORGE": "gitlab"})
    fake = FakeGitLab(git_server, Clock(), repository="group/config")
    git_server.password = team.env["CI_GITOPS_TOKEN"] = fake.state.user("robot").token
    yield team, fake
    assert not fake.breaches, "\n".join(fake.breaches)


def test_a_promotion_on_gitlab(gitlab: tuple[Team, FakeGitLab]) -> None:
    team, fake = gitlab
    team("update", f"{WEB}:4", "--environment", "production")
    made = team.create("12", "--mr", "1")
    assert made["previews"][0]["mergeRequest"]["url"].endswith("/group/config/-/merge_requests/1")
    assert 'newTag: "4"' in team.read(f"{PLACE}/kustomization.yaml")
    team.create("12", "--mr", made["previews"][0]["mergeRequest"]["url"])
    (note,) = fake.state.requests[0].notes
    assert "https://12.preview.example.com" in note.body
    job = {"GITLAB_CI": "true", "CI_PROJECT_URL": team.url.removesuffix(".git"), "CI_MERGE_REQUEST_IID": "1"}
    own = team.create("13", **job)  # application and configuration in one repository
    assert own["previews"][0]["mergeRequest"]["iid"] == 1
    assert len(fake.state.requests[0].notes) == 2


def test_the_merge_request_of_an_application_on_gitlab(gitlab: tuple[Team, FakeGitLab], cli: Cli) -> None:
    """Its pipeline writes to a config repository elsewhere and speaks on its own merge request."""
    app, fake = gitlab
    app("update", f"{WEB}:4", "--environment", "production")
    config = Team(cli, app.server, FILES, "group/other", app.env)
    page = app.url.removesuffix(".git")
    job = {
        "GITLAB_CI": "true", "CI_PROJECT_URL": page, "CI_PROJECT_PATH": "group/config", "CI_MERGE_REQUEST_IID": "1",
        "CI_SERVER_URL": page.removesuffix("/group/config"), "CI_SERVER_HOST": "127.0.0.1",
        "CI_MERGE_REQUEST_PROJECT_URL": page,
    }  # fmt: skip
    made = config.create("12", **job)
    assert made["notes"] == []
    assert made["previews"][0]["mergeRequest"]["url"] == f"{page}/-/merge_requests/1"
    assert config.create("12", "--mr", "1", **job)["outcome"] == "unchanged"
    (note,) = fake.state.requests[0].notes
    assert "https://12.preview.example.com" in note.body


def test_a_promotion_on_github(cli: Cli, git_server: GitServer) -> None:
    team = Team(cli, git_server, FILES, "octo/config", {"CI_GITOPS_FORGE": "github"})
    fake = FakeGitHub(git_server, "octo/config")
    git_server.user = "x-access-token"
    git_server.password = team.env["CI_GITOPS_TOKEN"] = fake.token("robot")
    team("update", f"{WEB}:4", "--environment", "production")
    made = team.create("12", "--mr", "1")
    assert made["previews"][0]["mergeRequest"]["url"].endswith("/octo/config/pull/1")
    (comment,) = fake.pull(1).comments
    assert "https://12.preview.example.com" in comment["body"]
    assert fake.breaches == []


# Deployed

RUNNING = DEPLOYMENT.replace(
    b"spec:\n  template:", b"spec:\n  selector: {matchLabels: {app: web}}\n  template:"
).replace(b"template:\n", b"template:\n    metadata: {labels: {app: web}}\n")


def test_it_is_an_environment_like_any_other(cli: Cli, git_server: GitServer, tmp_path: Path) -> None:
    config = CONFIG + f'  destination: {{to: "simulated:{tmp_path}/cluster.json", prune: true}}\n'.encode()
    team = Team(cli, git_server, {**FILES, ".ci-gitops.yaml": config, "apps/shop/base/deployment.yaml": RUNNING})
    team.create("12", f"{WEB}:2")
    deployed = team("deploy", "--environment", "preview-12", "--no-wait")
    assert deployed["outcome"] in ("applied", "succeeded")
    diff = team("diff", "--environment", "preview-12")
    assert diff["plans"][0]["summary"]["unchanged"] == 2
    (left,) = team.delete("12", "--dry-run")["cleanup"]
    assert left.endswith(f"--branch main --revision {team.head()} --environment preview-12 --app shop --yes")
    gone = team.delete("12", "--undeploy", "--prune-kind", "Namespace")
    assert (gone["outcome"], gone["cleanup"], gone["notes"]) == ("pushed", [], [])
    assert "preview-12" not in _namespaces(cli, tmp_path)

    refused = team("deploy", "--environment", "preview-12", code=2)
    assert "There is no environment 'preview-12'" in refused["error"]["message"]

    team.create("13", f"{WEB}:2")
    team("deploy", "--environment", "preview-13", "--no-wait")
    team.age(1, path=".ci-gitops/previews/preview-13.yaml")
    pruned = team("preview", "prune", "--undeploy")
    assert "Namespace preview-13: It stays" in pruned["notes"][0]
    (command,) = pruned["cleanup"]
    ran = cli(*command.split()[1:], "--prune-kind", "Namespace")
    assert ran.code == 0, ran.err
    assert "preview-13" not in _namespaces(cli, tmp_path)


@pytest.mark.full
def test_on_a_real_cluster_nothing_is_left(cli: Cli, git_server: GitServer, cluster: Cluster) -> None:
    """The namespace goes with the records that are in it, and the Lease that says that we write."""
    config = CONFIG + b"  destination: {prune: true}\n"
    team = Team(cli, git_server, {**FILES, ".ci-gitops.yaml": config, "apps/shop/base/deployment.yaml": RUNNING})
    name, where = uuid.uuid4().hex[:6], {"KUBECONFIG": str(cluster.kubeconfig)}
    environment = team.create(name)["previews"][0]["environment"]
    team("deploy", "--environment", environment, "--no-wait", **where)
    gone = team("preview", "delete", "--name", name, "--undeploy", "--prune-kind", "Namespace", **where)
    assert (gone["outcome"], gone["cleanup"], gone["notes"]) == ("pushed", [], [])
    assert environment not in cluster.kubectl("get", "namespaces", "-o", "name")


def _namespaces(cli: Cli, folder: Path) -> str:
    from ci_gitops.adapters.cluster.base import Resource
    from ci_gitops.adapters.cluster.simulated import Simulated

    cluster = Simulated(folder / "cluster.json", None)
    try:
        listed = cluster.list(Resource("", "v1", "Namespace", "namespaces", namespaced=False), None)
        return " ".join(item["metadata"]["name"] for item in listed.items)
    finally:
        cluster.close()
