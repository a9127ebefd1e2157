"""What the merge request of a promotion says, gathered from a real registry, Git, kustomize and each forge."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ci_gitops.core.mergerequest_text import parse_block
from ci_gitops.core.running import Running
from ci_gitops.core.targets import Target
from ci_gitops.output import Output
from ci_gitops.run import Run
from ci_gitops.steps.promotion_text import PromotionText
from ci_gitops.steps.request_text import Tell
from ci_gitops.steps.update import wanted
from ci_gitops.steps.update_call import UpdateCall
from ci_gitops.steps.update_jobs import Task, hand_of, jobs_of, write_each
from ci_gitops.steps.workplace import Reach, Workplaces
from tests.fakes.clock import Clock
from tests.fakes.github import FakeGitHub
from tests.fakes.gitlab import FakeGitLab
from tests.rig.git_server import GitServer
from tests.rig.registry import RegistryServer

SUBJECTS = (
    "First", "Weigh the basket (closes #12)", "/merge at once", "Thank @alice <!-- ci-gitops:end -->",
    "Fixes: shop/web#3 | a pipe and `` ticks",
)  # fmt: skip
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: WEB}
"""
SECRET = b"apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {key: hunter2-of-the-shop}\n"
LIVE = "destination: 'simulated:live.json', createNamespace: true"


@dataclass
class Shop:
    """An application `web` with a history and two images of it, and the config repository that runs it."""

    server: GitServer
    registry: RegistryServer
    folder: Path
    name: str = "shop/config"
    app: str = ""  # more of its settings
    production: str = "gates: {approvals: 1}"
    forge: str = "local"
    environ: dict[str, str] = field(default_factory=dict)
    told: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        source = self.server.create("shop/web", {"README.md": b"web\n"})
        first = self.server.head("shop/web")
        assert first
        commits = self.server.history("shop/web", [(each, {"README.md": each.encode()}) for each in SUBJECTS[1:]])
        self.commits = [first, *commits]
        self.web = self.registry.image("shop/web")
        self.old, self.new = (self._pushed(tag, source, sha) for tag, sha in (("1.1", first), ("1.2", commits[-1])))
        overlay = f"resources: [../base]\nimages: [{{name: {self.web}, newTag: '1.1', digest: {self.old}}}]\n"
        config = f"apps: {{shop: {{path: 'shop/{{environment}}'{self.app}}}}}\n"
        config += "environments:\n  staging: {write: push}\n"
        config += "  production:\n    {write: merge-request, from: staging, "
        self.url = self.server.create(self.name, {
            ".ci-gitops.yaml": f"{config}{self.production}}}\n".encode(),
            "shop/base/kustomization.yaml": b"resources: [deployment.yaml, secret.yaml]\n",
            "shop/base/deployment.yaml": DEPLOYMENT.replace("WEB", self.web).encode(),
            "shop/base/secret.yaml": SECRET,
            **{f"shop/{each}/kustomization.yaml": overlay.encode() for each in ("staging", "production")},
        })  # fmt: skip

    def _pushed(self, tag: str, source: str, sha: str) -> str:
        labels = {"source": source, "revision": sha, "version": tag}
        return self.registry.push(
            "shop/web", tag, {f"org.opencontainers.image.{key}": value for key, value in labels.items()}
        )

    @property
    def running(self) -> Running:
        head = self.server.head(self.name)
        assert head
        return Running(
            target=Target("shop", "staging", "shop/staging"), revision=head, images=(f"{self.web}:1.2@{self.new}",),
            healthy=True, reason="Healthy.", since=1_795_251_600, evidence="records",
        )  # fmt: skip

    def write(self, *images: str, tell: Tell | None = None, **options: object) -> dict[str, object]:
        """What `promote` does, with the images already chosen; the first write's merge request."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.environ}
        run = Run(environ=environ, cwd=self.folder, output=Output(err=self.told))
        call = UpdateCall(
            images=images or (f"{self.web}:1.2@{self.new}",), environments=("production",), write="merge-request",
            forge=self.forge, repo=self.url,
        )  # fmt: skip
        call = replace(call, **options)  # type: ignore[arg-type]
        with Workplaces(run, Reach(self.url)) as places:
            jobs = jobs_of(places, places.root(), call)
            tasks = [Task(job, wanted(run, call), hand_of(run, call), tell) for job in jobs]
            document = write_each(places, tasks, call).document
        request = document["mergeRequest"]
        assert isinstance(request, dict), document
        return request

    def promote(self, **options: object) -> str:
        text = self.write(tell=PromotionText(proof=(self.running,)), **options)["description"]
        assert isinstance(text, str)
        return text


Made = Callable[..., Shop]


@pytest.fixture
def shop(git_server: GitServer, registry: RegistryServer, tmp_path: Path) -> Made:
    def make(**settings: str) -> Shop:
        made = Shop(git_server, registry, tmp_path, **settings)  # type: ignore[arg-type]
        made.environ = {"CI_GITOPS_TOKEN": git_server.password}
        return made

    return make


def section(text: str, heading: str) -> str:
    return text.partition(f"#### {heading}\n")[2].partition("\n#### ")[0]


def test_the_whole_text(shop: Made) -> None:
    made = shop(production=f"gates: {{approvals: 1}}, {LIVE}")
    text = made.promote()
    first, *_, last = made.commits
    assert f"| **`1.2` `{made.new[7:19]}`** |" in text
    commits = section(text, "Commits")
    page = f"{made.server.url('shop/web')[:-4]}/-/compare/{first}...{last}"
    assert f"1.1 → 1.2: [4 commits (compare)](<{page}>)" in commits
    assert f"- `{last[:8]}` Fixes:\u00a0shop/web#\u200b3 \\| a pipe" in commits
    assert "Thank @\u200balice &lt;!-- ci-gitops:end --&gt;" in commits
    manifests = section(text, "What changes in the manifests")
    assert f"+      - image: {made.web}:1.2@{made.new}" in manifests
    assert "secret" not in manifests
    assert "- create secret/key\n- create deployment/web" in section(text, "What a deploy would do now")
    assert "| `approvals` | **waits** | 0 of 1 approval |" in section(text, "Gates")
    proof = section(text, "What runs in `staging`")
    assert "- `shop`: healthy since 2026-11-21 09:00 UTC at" in proof
    assert f"`web:1.2` `{made.new[7:19]}`" in proof
    assert "ci-gitops rollback --environment production --app shop" in section(text, "How to take it back")
    assert "hunter2" not in text
    assert text.count("ci-gitops:begin") == text.count("ci-gitops:end -->") == 1
    block = parse_block(text)
    assert block
    assert block.targets == {"production/shop"}


@pytest.mark.parametrize("named", [False, True])
def test_labels_open_no_repository_that_nobody_has_named(shop: Made, git_server: GitServer, named: bool) -> None:
    """Whoever pushes an image writes its labels; our token may read more than those who read the merge request."""
    made = shop(name="group/config", app=f", sources: ['{git_server.base}/shop/*']" if named else "")
    commits = section(made.promote(), "Commits")
    assert "/shop/web/-/compare/" in commits
    assert (f"`{made.commits[-1][:8]}`" in commits) == named
    assert ("not in the config repository's group and named by no app" in commits) != named
    assert any(each.path.startswith("/shop/web.git/info/refs") for each in git_server.requests) == named


def test_a_second_run_writes_nothing(shop: Made) -> None:
    made = shop()
    made.promote()
    refs = made.server.refs(made.name)
    made.promote()
    assert made.server.refs(made.name) == refs


def test_the_chain_of_earlier_ones(shop: Made) -> None:
    made = shop(production="merge: manual")
    older = f"{made.web}:1.1.5@{made.old}"
    assert made.write(older, merge="now")["state"] == "merged"
    made.write(environments=("staging",), merge="now")
    text = made.promote()
    chain = section(text, "Merge requests before this one")
    assert "- brought to where it comes from by `!2` Update shop in staging to 1.2, merged 20" in chain
    assert "- before this: `!1` Update shop in production to 1.1.5, merged 20" in chain


def test_what_is_not_to_be_had_is_left_out(shop: Made, tmp_path: Path) -> None:
    made = shop(production="destination: {context: nowhere}, gates: {approvals: 1}")
    made.server.commit(made.name, {"shop/base/deployment.yaml": b"{broken: "})
    away = "127.0.0.1:9/web"
    text = made.promote(images=(f"{made.web}={away}:2",))
    assert f"`{away}`: its labels are not to be had:" in text
    assert "`shop in production` could not be compared:" in text
    assert "- what a deploy would do now: not everything can be rendered" in text
    assert "#### Gates" in text


def test_an_empty_diff_is_said_in_one_line_and_the_whole_one_is_in_a_file(shop: Made, tmp_path: Path) -> None:
    made = shop()
    made.server.commit(made.name, {"shop/base/deployment.yaml": DEPLOYMENT.replace("WEB", "other:1").encode()})
    tell = PromotionText(diff_out=tmp_path / "diff.txt")
    text = str(made.write(tell=tell)["description"])
    assert "`shop in production`: nothing. What is rendered stays the same." in text
    assert (tmp_path / "diff.txt").read_text() == "# shop in production\nnothing changes\n"


def test_a_dry_run_shows_the_text_and_touches_nothing(shop: Made) -> None:
    made = shop()
    refs = made.server.refs(made.name)
    text = made.promote(dry_run=True)
    assert f"+      - image: {made.web}:1.2@{made.new}" in text
    assert "4 commits" in text
    assert "approvals" not in text or "1 approval" in text
    assert made.server.refs(made.name) == refs


def test_an_update_asks_nobody_more(shop: Made) -> None:
    made = shop(production="gates: {approvals: 2, soak: 30m}, operator: external")
    logged = len(made.registry.log)
    text = str(made.write()["description"])
    assert "CI, where there is any, a soak of 30m there, 2 approvals, people merge it." in text
    back = f"ci-gitops update {made.web}:1.1@{made.old} --environment production --app shop"
    assert back in section(text, "How to take it back")
    assert len(made.registry.log) == logged


def test_a_rollback_says_where_it_goes(shop: Made) -> None:
    made = shop(production="gates: {approvals: 2}, rollback: {gates: {approvals: 1}}")
    good = made.running.revision
    text = str(made.write(back_to=good)["description"])
    assert text.index(f"**This goes back** to what ran well at `{good[:12]}`") < text.index("| app |")
    assert "CI, where there is any, 1 approval, people merge it." in section(text, "Gates")
    assert "How to take it back" not in text


def test_an_edit_of_the_rules_is_warned_of_first(shop: Made) -> None:
    made = shop(production="gates: {approvals: 2}")
    rule = "shop:.ci-gitops.yaml:environments.production.gates.approvals=0"
    for tell in (None, PromotionText()):
        text = str(made.write(tell=tell, assignments=(rule,))["description"])
        table, warning = text.index("| app |"), text.index("**Warning: this merge request edits the rules")
        assert warning < table < text.index("#### Gates")
        assert "2 approvals" in section(text, "Gates")


def test_on_gitlab(shop: Made) -> None:
    made = shop(name="group/config", forge="gitlab")
    made.server.user = "oauth2"
    fake = FakeGitLab(made.server, Clock(), repository=made.name)
    made.server.password = made.environ["CI_GITOPS_TOKEN"] = fake.state.user("robot").token
    text = made.promote()
    assert "| `approvals` | **waits** | 0 of 1 approval |" in text
    assert f"at [`{made.running.revision[:12]}`](<{made.server.base}/group/config/-/commit/" in text
    assert "/shop/web/-/compare/" in text
    assert not fake.breaches


def test_on_github(shop: Made) -> None:
    made = shop(name="octo/config", forge="github")
    fake = FakeGitHub(made.server, "octo/config")
    made.server.user = "x-access-token"
    made.server.password = made.environ["CI_GITOPS_TOKEN"] = fake.token("robot")
    made.environ["CI_GITOPS_FORGE"] = "github"
    text = made.promote()
    assert "| `approvals` | **waits** | 0 of 1 approval |" in text
    assert f"/octo/config/commit/{made.running.revision}>)" in text
    assert "/shop/web/compare/" in text
    assert not fake.breaches
