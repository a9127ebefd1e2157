"""`scan` against a real registry and a real Git server: what is newer goes the road of `update`."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.errors import CiGitopsError
from ci_gitops.output import Output
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.scan import ScanCall, scan
from tests.fakes.clock import Clock
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.web import Asked, Reply, scripted_web
from tests.rig.cli import Cli, Ran
from tests.rig.cosign import Signing
from tests.rig.git_server import GitServer
from tests.rig.helm import Helm, chart
from tests.rig.registry import RegistryServer

CREATED = "org.opencontainers.image.created"
ENVIRONMENTS = "environments:\n  staging: {}\n  production: {write: merge-request}\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: IMAGE}, {name: side, image: "example.com/side:1"}]}}}
"""


@dataclass
class Scanned:
    """What became of one round."""

    code: int
    result: Result | None
    error: CiGitopsError | None
    told: io.StringIO

    @property
    def document(self) -> Mapping[str, Any]:
        assert self.result
        return self.result.document

    @property
    def items(self) -> list[Mapping[str, Any]]:
        return [*self.document["items"]]

    @property
    def only(self) -> Mapping[str, Any]:
        (item,) = self.items
        return item

    def by_app(self, field: str = "outcome") -> dict[str, Any]:
        return {item["app"]: item[field] for item in self.items}


class Followed:
    """A config repository whose app shop uses one image of the registry, and maybe others."""

    def __init__(self, cli: Cli, git: GitServer, image: str) -> None:
        self.cli, self.git, self.image = cli, git, image
        self.files: dict[str, str] = {}
        self.settings = "apps:\n"
        self.variables: dict[str, str] = {}
        self.name = "config"

    def app(
        self, name: str, tag: str, policy: str, *, image: str | None = None, group: str = "", followed: str = ""
    ) -> None:
        image = image or self.image
        named = followed or image
        self.settings += f"  {name}:\n    path: apps/{name}/{{environment}}\n    policies: {{'{named}': {policy}}}\n"
        self.settings += f"    group: {group}\n" if group else ""
        for environment in ("staging", "production"):
            folder = f"apps/{name}/{environment}"
            text = f"resources: [web.yaml]\nimages:\n- name: {image}\n  newTag: {json.dumps(tag)}  # ours\n"
            self.files |= {f"{folder}/kustomization.yaml": text,
                           f"{folder}/web.yaml": DEPLOYMENT.replace("IMAGE", image)}  # fmt: skip

    def create(self, environments: str = ENVIRONMENTS) -> None:
        files = {**self.files, ".ci-gitops.yaml": self.settings + environments}
        self.url = self.git.create(self.name, {path: text.encode() for path, text in files.items()})

    def __call__(self, *, code: int = 0, environment: str = "staging", verbosity: int = 0, **options: Any) -> Scanned:
        """Run it in this process: the command line around it has tests of its own."""
        environ = {**self.cli.env, "CI_GITOPS_TOKEN": self.git.password, **self.variables}
        told = io.StringIO()
        run = Run(environ, Path(environ["HOME"]), output=Output(verbosity=verbosity, err=told))
        call = ScanCall(repo=self.url, environments=(environment,), **{"forge": "local", **options})
        try:
            scanned = Scanned(0, scan(run, call), None, told)
        except CiGitopsError as error:
            scanned = Scanned(error.exit_code, error.result, error, told)
        assert scanned.code == code, (scanned, told.getvalue())
        return scanned

    def command(self, *words: object) -> Ran:
        env = {"CI_GITOPS_TOKEN": self.git.password, "CI_GITOPS_REPO": self.url}
        return self.cli(*words, "--environment", "staging", env=env)

    def read(self, app: str = "shop", environment: str = "staging", branch: str = "main") -> str:
        return self.git.read("config", f"apps/{app}/{environment}/kustomization.yaml", branch).decode()

    @property
    def branches(self) -> list[str]:
        prefix = "refs/heads/ci-gitops/"
        return sorted(ref.removeprefix(prefix) for ref in self.git.refs("config") if ref.startswith(prefix))


@pytest.fixture
def shop(cli: Cli, git_server: GitServer, registry: RegistryServer, repository: str) -> Followed:
    return Followed(cli, git_server, registry.image(repository))


def test_a_newer_version_is_written_with_its_digest(shop: Followed, registry: RegistryServer, repository: str) -> None:
    tags = ("1.1.0", "1.2.0", "1.3.0-rc.1", "2.0.0", "latest")
    digests = {tag: registry.push(repository, tag, {"v": tag}) for tag in tags}
    shop.app("shop", "1.1.0", '{range: "1.x"}')
    shop.create()

    planned = shop(dry_run=True)
    assert (planned.document["dryRun"], planned.only["outcome"]) == (True, "planned")
    assert 'newTag: "1.1.0"' in shop.read()

    done = shop(verbosity=1)
    item = done.only
    assert [item[name] for name in ("current", "newest", "digest", "outcome")] == [
        "1.1.0", "1.2.0", digests["1.2.0"], "pushed",
    ]  # fmt: skip
    assert [each["version"] for each in item["leftOut"]] == ["2.0.0", "1.3.0-rc.1"]
    assert done.document["writes"][0]["outcome"] == "pushed"
    assert f'newTag: "1.2.0"  # ours\n  digest: {digests["1.2.0"]}' in shop.read()
    assert "no policy, left alone: example.com/side:1" in done.told.getvalue()

    before = shop.git.head("config")
    ran = shop.command("-o", "json", "scan")
    assert (ran.code, ran.json["kind"], ran.json["items"][0]["outcome"]) == (0, "ScanResult", "current"), ran.err
    assert shop.git.head("config") == before


def test_a_moving_tag_keeps_its_name(shop: Followed, registry: RegistryServer, repository: str) -> None:
    first = registry.push(repository, "latest", {"v": "1"})
    shop.app("shop", "latest", "{kind: digest}")
    shop.create()
    assert shop().only["digest"] == first
    moved = registry.push(repository, "latest", {"v": "2"})
    item = shop().only
    assert (item["current"], item["newest"], item["currentDigest"], item["digest"]) == (
        "latest",
        "latest",
        first,
        moved,
    )
    assert f"digest: {moved}" in shop.read()
    assert first not in shop.read()
    assert shop().only["outcome"] == "current"


def test_the_newest_by_time_that_is_old_enough(shop: Followed, registry: RegistryServer, repository: str) -> None:
    made = {"b": "2026-01-02", "a": "2026-01-03", "c": "2026-01-01", "young": "2099-01-01", "x": "1970-01-01"}
    for tag, day in made.items():
        registry.push(repository, tag, {CREATED: f"{day}T00:00:00Z"})
    shop.app("shop", "c", "{kind: newest, minimumAge: 1h}")
    shop.create()
    item = shop().only
    assert (item["newest"], item["outcome"]) == ("a", "pushed")
    assert {each["version"]: each["reason"] for each in item["leftOut"]} == {
        "x": "nothing says when it was made",
        "young": "too young: 0s of 1h",
    }


def test_a_group_is_one_merge_request_and_others_have_their_own(
    shop: Followed, registry: RegistryServer, repository: str
) -> None:
    for tag in ("1.0.0", "1.1.0", "2.0.0"):
        registry.push(repository, tag, {"v": tag})
    shop.app("shop", "1.0.0", "{}", group="storefront")
    shop.app("cart", "1.0.0", "{}", group="storefront")
    shop.app("till", "1.0.0", '{range: "1.x"}', group="storefront")  # the same image, to another version
    shop.app("pay", "1.0.0", "{}")
    shop.create()
    done = shop(environment="production")
    assert shop.branches == ["production/pay", "production/storefront"]
    assert done.by_app() == {"shop": "opened", "cart": "opened", "till": "updated", "pay": "opened"}

    def versions() -> list[str]:
        texts = [shop.read(app, "production", "ci-gitops/production/storefront") for app in ("shop", "cart", "till")]
        return [text.split('newTag: "')[1].split('"')[0] for text in texts]

    assert versions() == ["2.0.0", "2.0.0", "1.1.0"]
    assert set(shop(environment="production").by_app().values()) == {"unchanged"}
    registry.push(repository, "2.1.0", {"v": "2.1.0"})
    shop(environment="production")
    assert versions() == ["2.1.0", "2.1.0", "1.1.0"]
    assert len(shop.branches) == 2


def test_pushes_to_one_branch_do_not_race_each_other(shop: Followed, registry: RegistryServer, repository: str) -> None:
    for tag in ("1.0.0", "1.1.0", "2.0.0"):
        registry.push(repository, tag, {"v": tag})
    shop.app("shop", "1.0.0", "{}")
    shop.app("cart", "1.0.0", "{}")
    shop.app("till", "1.0.0", '{range: "1.x"}')
    shop.create()
    done = shop()
    assert done.by_app("newest") == {"shop": "2.0.0", "cart": "2.0.0", "till": "1.1.0"}
    assert [write["attempts"] for write in done.document["writes"]] == [1, 1]
    assert "Another push" not in done.told.getvalue()


def test_what_is_held_stays_and_is_told(shop: Followed, registry: RegistryServer, repository: str) -> None:
    for tag in ("1.0.0", "1.1.0", "1.2.0"):
        registry.push(repository, tag, {"v": tag})
    shop.app("shop", "1.0.0", "{}")
    shop.create()
    assert shop.command("hold", "--image", f"{shop.image}:1.2.0", "--reason", "it loses orders").code == 0
    item = shop().only
    assert (item["newest"], item["outcome"]) == ("1.1.0", "pushed")  # the artifact is passed over
    assert "it loses orders" in item["leftOut"][0]["reason"]
    assert shop.command("hold", "--image", shop.image, "--reason", "it loses orders").code == 0
    registry.push(repository, "1.3.0")
    item = shop().only
    assert (item["newest"], item["outcome"], item["reason"]) == ("1.3.0", "held", "it loses orders")
    assert shop.command("hold", "--app", "shop", "--reason", "all of it").code == 0
    assert shop(apps=("shop",), code=5).only["outcome"] == "held"


def test_what_cannot_be_followed_is_told_and_the_rest_goes_on(
    shop: Followed, registry: RegistryServer, repository: str
) -> None:
    registry.push(repository, "1.1.0")
    ill = Reply(503, {"Retry-After": "600"})
    shop.app("missing", "1.0.0", "{}", image=registry.image("test/nobody-pushed-this"))
    shop.app("shop", "1.0.0", "{}")
    shop.app("typo", "1.0.0", "{}", followed=f"{shop.image}x")
    shop.app("pinned", "1.0.0", "{}")
    shop.app("template", "1.0.0", "{}", image="${IMAGE}")
    shop.app("broken", "1.0.0", "{}")
    shop.app("variant", "1.0.0-alpine", "{}")
    digest = "sha256:" + "0" * 64
    shop.files["apps/pinned/staging/kustomization.yaml"] = f"images:\n- {{name: {shop.image}, digest: '{digest}'}}\n"
    shop.files["apps/broken/staging/kustomization.yaml"] = "images: [{{ nothing\n"
    with scripted_web(lambda asked: ill) as web:
        shop.app("away", "1.0.0", "{}", image=f"{web.host}/gone")
        shop.create()
        done = shop(code=1)
    reasons = done.by_app("reason")
    assert done.by_app() == {
        "away": "failed", "missing": "failed", "shop": "pushed", "typo": "left", "pinned": "left", "template": "left",
        "broken": "left", "variant": "left",
    }  # fmt: skip
    assert "answered 503" in reasons["away"]
    assert "no tags of test/nobody-pushed-this" in reasons["missing"]
    assert f"Did you mean '{shop.image}'?" in reasons["typo"]
    assert "pinned by its digest alone" in reasons["pinned"]
    assert "is a template or a placeholder" in reasons["template"]
    assert "Go template" in reasons["broken"]
    assert "is the variant 'alpine'" in reasons["variant"]
    assert "1.1.0" in shop.read()


def test_a_registry_that_asks_us_to_wait_is_not_asked_again(cli: Cli, git_server: GitServer) -> None:
    with scripted_web(lambda asked: Reply(429, {"Retry-After": "600"})) as web:
        one = Followed(cli, git_server, f"{web.host}/one")
        one.app("shop", "1.0.0", "{}")
        one.app("cart", "1.0.0", "{}", image=f"{web.host}/two")
        one.create()
        assert set(one(code=75).by_app().values()) == {"failed"}
        assert len([asked for asked in web.asked if "tags" in asked.path]) == 1


def test_settings_that_cannot_be(shop: Followed) -> None:
    shop.app("shop", "1.0.0", '{range: "one"}')
    shop.create()

    def error(**options: Any) -> str:
        failed = shop(code=2, **options).error
        assert failed
        return failed.message

    def change(settings: str) -> None:
        shop.git.commit("config", {".ci-gitops.yaml": (settings + ENVIRONMENTS).encode()})

    assert "expected a range of versions" in error()
    change(shop.settings.replace('range: "one"', "tag: x"))
    assert "tag is for kind: digest" in error()
    change(shop.settings.partition("    policies")[0])
    nothing = shop()
    assert nothing.items == []
    assert nothing.result
    assert "Nothing is followed" in nothing.result.text
    assert "exclude each other" in error(once=True, interval=300.0)
    assert "1s or more" in error(interval=0.0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGINT, 130)])
def test_again_and_again_until_ended(
    shop: Followed, registry: RegistryServer, repository: str, number: int, code: int
) -> None:
    registry.push(repository, "1.0.0")
    shop.app("shop", "1.0.0", "{}")
    shop.create()
    env = {**shop.cli.env, "CI_GITOPS_TOKEN": shop.git.password, "CI_GITOPS_REPO": shop.url}
    words = [sys.executable, "-m", "ci_gitops", "scan", "--environment", "staging", "--interval", "1s"]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith("Round 1:"):
                registry.push(repository, "1.1.0", {"v": "2"})
            if "Pushed" in line:
                break
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(10) == code
    assert "Interrupted" in rest
    assert "1.1.0" in shop.read()


def test_gitlab_says_when_tags_of_its_registry_were_pushed(
    shop: Followed, registry: RegistryServer, git_server: GitServer
) -> None:
    """The labels say the opposite; where GitLab knows nothing of a tag, its label counts."""
    pushed = {"main-1": "2026-01-09", "main-2": "2026-01-05", "main-3": "2026-01-07"}
    for day, tag in enumerate([*pushed, "main-4"], 1):
        registry.push("group/config/web", tag, {CREATED: f"2026-01-{day:02}T00:00:00Z"})
    shop.name, shop.image = "group/config", registry.image("group/config/web")
    shop.app("shop", "main-2", "{kind: newest}")
    shop.create("environments: {staging: {write: push}}\n")
    gitlab = FakeGitLab(git_server, Clock(), repository=shop.name)
    digest = "sha256:" + "1" * 64
    gitlab.state.tags = {
        "group/config/web": {tag: (digest + tag[-1], f"{day}T00:00:00Z") for tag, day in pushed.items()}
    }
    git_server.password = gitlab.state.user("robot").token
    shop.variables = {"CI_REGISTRY": registry.host}
    assert shop(dry_run=True).only["newest"] == "main-4"  # nothing says that the forge is GitLab
    gitlab_says = shop(dry_run=True, forge="gitlab")
    assert gitlab_says.only["newest"] == "main-1"
    gitlab.state.tags = {}
    assert shop(dry_run=True, forge="gitlab").only["newest"] == "main-4"
    assert not gitlab.breaches


def test_what_is_not_signed_is_not_written(
    shop: Followed, registry: RegistryServer, repository: str, signing: Signing
) -> None:
    digest = registry.push(repository, "1.1.0", {"v": "1.1.0"})
    registry.push(repository, "1.0.0")
    shop.app("shop", "1.0.0", "{}")
    shop.files["robot.pub"] = signing.key("robot")
    shop.variables = {"PATH": signing.path("3")}
    shop.create("environments: {staging: {verify: {cosign: {key: robot.pub, tlog: false}}}}\n")
    before = shop.git.head("config")
    refused = shop(code=5).only
    assert (refused["newest"], refused["outcome"]) == ("1.1.0", "failed")
    assert "is not signed" in refused["reason"]
    assert shop.git.head("config") == before
    signing.sign("3", f"{shop.image}@{digest}", "robot")
    assert shop().only["outcome"] == "pushed"
    assert shop().only["outcome"] == "current"  # the signature is no version


def test_it_ends_at_once_though_a_registry_hangs(cli: Cli, git_server: GitServer) -> None:
    over, asked = threading.Event(), threading.Event()

    def hang(question: Asked) -> Reply:
        if "tags" in question.path:
            asked.set()
            over.wait(60)
        return Reply(404)

    with scripted_web(hang) as web:
        one = Followed(cli, git_server, f"{web.host}/one")
        one.app("shop", "1.0.0", "{}")
        one.create()
        env = {**cli.env, "CI_GITOPS_TOKEN": git_server.password, "CI_GITOPS_REPO": one.url}
        words = [sys.executable, "-m", "ci_gitops", "scan", "--environment", "staging"]
        with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert asked.wait(60)
            process.terminate()
            try:
                assert process.wait(10) == 130
            finally:
                over.set()


# Charts

RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: shop}
spec:
  chart:
    spec: {chart: shop, version: "1.0.0", sourceRef: {kind: HelmRepository, name: ours}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: ours}
spec: {url: URL}
"""


def test_charts_of_an_index_and_of_a_registry(
    cli: Cli, git_server: GitServer, registry: RegistryServer, helm: Helm, tmp_path: Path, repository: str
) -> None:
    """Packed, indexed and pushed by the real Helm; each use in the spelling of its tool."""
    for version in ("1.0.0", "1.2.0+b7", "2.0.0"):
        chart(tmp_path / "shop", "shop", version)
        assert helm("package", tmp_path / "shop", "-d", tmp_path / "served").returncode == 0
        package = tmp_path / f"served/shop-{version}.tgz"
        done = helm("push", package, f"oci://{registry.host}/{repository}", "--plain-http")
        assert done.returncode == 0, done.stderr
    assert helm("repo", "index", tmp_path / "served").returncode == 0
    index = (tmp_path / "served/index.yaml").read_bytes()
    oci = f"oci://{registry.host}/{repository}"
    with scripted_web(lambda asked: Reply(200 if asked.path == "/index.yaml" else 404, {}, index)) as web:
        url = f"http://{web.host}"
        files = {
            "apps/flux/staging/release.yaml": RELEASE.replace("URL", url),
            "apps/argo/staging/app.yaml": "apiVersion: argoproj.io/v1alpha1\nkind: Application\n"
            "metadata: {name: shop}\nspec: {source: {chart: shop, targetRevision: 1.0.0, "
            f"repoURL: {registry.host}/{repository}}}}}\n",
            "apps/kust/staging/kustomization.yaml": f"helmCharts:\n- {{name: shop, repo: {url}, version: 1.0.0}}\n",
            "apps/chart/staging/Chart.yaml": "apiVersion: v2\nname: own\nversion: 0.1.0\n"
            f"dependencies:\n- {{name: shop, version: 1.0.0, repository: '{oci}'}}\n",
            "apps/lots/staging/helmfile.yaml": f"repositories:\n- {{name: ours, url: '{url}'}}\n"
            "releases:\n- {name: shop, chart: ours/shop, version: 1.0.0}\n"
            "- {name: other, chart: theirs/shop, version: 1.0.0}\n",
            "apps/own/staging/values.yaml": "replicas: 1\n",
            "apps/range/staging/kustomization.yaml": f"helmCharts:\n- {{name: shop, repo: {url}, version: ^1.0}}\n",
        }
        policies = dict.fromkeys(("flux", "argo", "kust", "chart", "own", "range"), "policies: {shop: {range: 1.x}}")
        policies["lots"] = "policies: {ours/shop: {kind: alphabetical, ignore: ['2.*']}, theirs/shop: {}}"
        settings = "apps:\n" + "".join(
            f"  {name}:\n    path: apps/{name}/{{environment}}\n    {text}\n"
            + (f"    helm: {{chart: shop, repository: '{url}', version: 1.0.0}}\n" if name == "own" else "")
            for name, text in policies.items()
        )
        environments = "environments: {staging: {allow: {hosts: ['127.0.0.1']}}}\n"
        files[".ci-gitops.yaml"] = settings + environments
        one = Followed(cli, git_server, "")
        one.url = git_server.create("config", {path: text.encode() for path, text in files.items()})
        found = {(item["app"], item["name"]): item for item in one().items}
        outcomes = {app: item["outcome"] for (app, _), item in found.items() if app != "lots"}
        assert outcomes == {**dict.fromkeys(("flux", "argo", "kust", "chart", "own"), "pushed"), "range": "left"}
        assert found["lots", "ours/shop"]["newest"] == "1.2.0+b7"
        assert "names no repository 'theirs'" in found["lots", "theirs/shop"]["reason"]
        for path in ("flux/staging/release", "argo/staging/app", "kust/staging/kustomization", "chart/staging/Chart"):
            assert "1.2.0+b7" in git_server.read("config", f"apps/{path}.yaml").decode()
        assert "version: 1.2.0+b7" in git_server.read("config", ".ci-gitops.yaml").decode()
        assert "1.0.0" not in git_server.read("config", ".ci-gitops.yaml").decode()
        assert len([asked for asked in web.asked if asked.path == "/index.yaml"]) == 1

        closed = files[".ci-gitops.yaml"].replace(environments, "environments: {staging: {}}\n")
        git_server.commit("config", {".ci-gitops.yaml": closed.encode()})
        failed = one(apps=("flux",), code=5)
        assert failed.error
        assert "allow.hosts" in str(failed.error.hint)
