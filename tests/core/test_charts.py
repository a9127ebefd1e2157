"""`--chart NAME=VERSION`: the version of a chart wherever GitOps files name one, and Chart.lock in step with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ci_gitops.core.edits.chart_lock import lock_digest, lock_name, relock
from ci_gitops.core.edits.chart_uses import chart_uses
from ci_gitops.core.edits.charts import parse_chart, set_charts
from ci_gitops.core.intents import Intent
from ci_gitops.core.targets import Target
from ci_gitops.core.updates import TargetFiles, plan_update
from ci_gitops.core.yamltext import Scalar, find, parse
from ci_gitops.errors import EditError, UsageError
from tests.core.trees import MemoryTree

CHART = """\
apiVersion: v2
name: shop
version: 0.3.0   # our own
appVersion: "1.0"
dependencies:
  # the cache
  - name: redis
    version: 19.0.0  # renovate: pin
    repository: https://charts.example.com/bitnami
    condition: redis.enabled
  - {name: postgresql, version: "15.1.0", repository: "oci://registry.example.com/charts", alias: db}
"""


def test_a_dependency_of_a_chart() -> None:
    edit = set_charts(CHART, [("redis", "19.1.0")], path="Chart.yaml")
    assert edit.new == CHART.replace("version: 19.0.0  #", "version: 19.1.0  #")
    assert [(c.field, c.old, c.new, c.line) for c in edit.changes] == [
        ("dependencies[0].version", "19.0.0", "19.1.0", 8)
    ]


def test_several_and_by_alias() -> None:
    edit = set_charts(CHART, [("redis", "20.0.0"), ("db", "16.0.0")], path="charts/shop/Chart.yaml")
    assert edit.new == CHART.replace("19.0.0", "20.0.0").replace('"15.1.0"', '"16.0.0"')


def test_an_alias_names_one_of_two() -> None:
    text = (
        "name: x\ndependencies:\n- {name: redis, alias: cache, version: 1.0.0}\n"
        "- {name: redis, alias: queue, version: 1.0.0}\n"
    )
    one = set_charts(text, [("queue", "1.1.0")], path="Chart.yaml")
    assert [change.field for change in one.changes] == ["dependencies[1].version"]
    both = set_charts(text, [("redis", "1.1.0")], path="Chart.yaml")
    assert [change.field for change in both.changes] == ["dependencies[0].version", "dependencies[1].version"]


def test_the_own_version_of_a_chart() -> None:
    edit = set_charts(CHART, [("shop", "0.4.0")], path="Chart.yaml")
    assert edit.new == CHART.replace("version: 0.3.0 ", "version: 0.4.0 ")


SHAPES = {
    "helmfile release by chart": (
        (
            "repositories:\n- {name: bitnami, url: https://x}\nreleases:\n  - name: cache\n    chart: bitnami/redis\n"
            "    version: OLD\n"
        ),
        "redis",
    ),
    "helmfile release by full chart": (
        (
            "releases:\n- name: cache\n  chart: bitnami/redis\n  version: OLD\n"
            "- name: other\n  chart: mine/redis\n  version: 9.9.9\n"
        ),
        "bitnami/redis",
    ),
    "helmfile release by release name": (
        (
            "releases:\n- name: cache\n  chart: bitnami/redis\n  version: OLD\n"
            "- name: other\n  chart: bitnami/redis\n  version: 9.9.9\n"
        ),
        "cache",
    ),
    "helmfile release from a registry": (
        "releases:\n- name: cache\n  chart: oci://registry.example.com/charts/redis\n  version: OLD\n",
        "redis",
    ),
    "Flux HelmRelease": (
        (
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: cache\nspec:\n  chart:\n"
            "    spec:\n      chart: redis\n      version: OLD\n      sourceRef: {kind: HelmRepository, name: b}\n"
        ),
        "redis",
    ),
    "Flux HelmRelease as a patch": (
        (
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: redis\nspec:\n  chart:\n"
            "    spec:\n      version: OLD\n"
        ),
        "redis",
    ),
    "Flux HelmRelease by its name": (
        (
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: cache\nspec:\n  chart:\n"
            "    spec:\n      chart: ./charts/redis\n      version: OLD\n"
        ),
        "cache",
    ),
    "Flux HelmChart": (
        (
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\nmetadata: {name: c}\nspec:\n  chart: redis\n"
            "  version: OLD\n"
        ),
        "redis",
    ),
    "Flux OCIRepository": (
        (
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: cache}\nspec:\n"
            "  url: oci://registry.example.com/charts/redis\n  ref:\n    tag: OLD\n"
        ),
        "redis",
    ),
    "Flux OCIRepository by range": (
        (
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: cache}\nspec:\n"
            "  url: oci://registry.example.com/charts/redis\n  ref:\n    tag: 1.0.0\n    semver: OLD\n"
        ),
        "redis",
    ),
    "Argo CD Application": (
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: cache}\nspec:\n  source:\n"
            "    repoURL: https://charts.example.com\n    chart: redis\n    targetRevision: OLD\n"
        ),
        "redis",
    ),
    "Argo CD Application of several sources": (
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: cache}\nspec:\n  sources:\n"
            "  - {repoURL: https://git.example.com/values.git, targetRevision: main, ref: values}\n"
            "  - {repoURL: registry.example.com/charts, chart: redis, targetRevision: OLD}\n"
        ),
        "redis",
    ),
    "Argo CD OCI source": (
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: cache}\nspec:\n  source:\n"
            "    repoURL: oci://registry.example.com/charts/redis\n    path: .\n    targetRevision: OLD\n"
        ),
        "redis",
    ),
    "Argo CD ApplicationSet": (
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: many}\nspec:\n  generators: []\n"
            "  template:\n    metadata: {name: x}\n    spec:\n      source:\n"
            "        repoURL: https://charts.example.com\n        chart: redis\n        targetRevision: OLD\n"
        ),
        "redis",
    ),
    "helmCharts of a kustomization": (
        (
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nhelmCharts:\n- name: redis\n"
            "  releaseName: cache\n  repo: https://charts.example.com\n  version: OLD\n"
        ),
        "redis",
    ),
    "our own configuration": (
        (
            "version: 1\napps:\n  shop:\n    path: apps/shop\n"
            "    helm: {chart: redis, repository: https://charts.example.com, version: OLD}\n"
        ),
        "redis",
    ),
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape(shape: str, newline: str) -> None:
    text, name = SHAPES[shape]
    for old, new in (("18.0.0", "18.1.0"), ('"18.0.0"', '"18.1.0"'), ("v18.0.0", "18.1.0"), ("'~18'", "'18.1.0'")):
        before = text.replace("OLD", old).replace("\n", newline)
        edit = set_charts(before, [(name, "18.1.0")], path="some.yaml")
        assert edit.new == text.replace("OLD", new).replace("\n", newline)
        assert len(edit.changes) == 1
        assert not set_charts(edit.new, [(name, "18.1.0")], path="some.yaml").changed


def test_every_document_and_source_that_uses_the_chart() -> None:
    release = SHAPES["Flux HelmRelease"][0]
    text = f"{release.replace('OLD', '1.0.0')}---\n# staging\n{release.replace('OLD', '1.1.0')}"
    edit = set_charts(text, [("redis", "1.2.0")], path="all.yaml")
    assert len(edit.changes) == 2
    assert edit.new == text.replace("1.0.0", "1.2.0").replace("1.1.0", "1.2.0")


def test_charts_of_other_people(corpus: Path) -> None:
    """Every chart version of the corpus can be bumped and bumped back, byte for byte, and is one line of the diff."""
    bumped = 0
    for file in sorted(corpus.rglob("*.yaml")):
        text = file.read_bytes().decode()
        try:
            yaml_text = parse(text, file.name)
        except EditError:
            continue
        for use in chart_uses(yaml_text.documents):
            node = find(yaml_text, use.place.document, use.place.path) if not yaml_text.template else None
            if not isinstance(node, Scalar) or "{{" in node.value or use.place.path == ("version",):
                continue
            name = use.chart
            edit = set_charts(text, [(name, "99.0.0-rc.1")], path=file.name)
            assert len(edit.diff(context=0)) == 2 + 3 * len(edit.changes)
            if len(edit.changes) == 1:
                assert set_charts(edit.new, [(name, node.value)], path=file.name).new == text
            bumped += 1
    assert bumped >= 5


class TestRefused:
    def test_not_found_with_near_matches(self) -> None:
        with pytest.raises(EditError, match=r"Chart.yaml.*'reddis'") as caught:
            set_charts(CHART, [("reddis", "1.0.0")], path="Chart.yaml")
        assert "'redis'" in (caught.value.hint or "")

    def test_one_name_of_two_charts(self) -> None:
        text = (
            "releases:\n- {name: a, chart: bitnami/redis, version: 1.0.0}\n"
            "- {name: b, chart: mine/redis, version: 2.0.0}\n"
        )
        with pytest.raises(EditError, match="means 2 charts") as caught:
            set_charts(text, [("redis", "3.0.0")], path="helmfile.yaml")
        assert "'bitnami/redis'" in (caught.value.hint or "")
        assert "'mine/redis'" in (caught.value.hint or "")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("releases:\n- {name: a, chart: x/redis}\n", r"no version"),
            ("releases:\n- {name: a, chart: x/redis, version: '{{ .Values.v }}'}\n", r"(?i)templat"),
            ("releases:\n{{ range .x }}\n- {name: a, chart: x/redis}\n{{ end }}\n", r"(?i)templat"),
            ("kind: ConfigMap\n", r"no chart"),
            ("", r"no chart|empty"),
            (
                (
                    "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: redis}\n"
                    "spec: {url: 'oci://x/redis', ref: {tag: 1.0.0, digest: 'sha256:00'}}\n"
                ),
                r"digest",
            ),
            ("dependencies:\n- name: redis\n  version: &v 1.0.0\n", r"anchor"),
            ("v: &v 1.0.0\ndependencies:\n- name: redis\n  version: *v\n", r"alias"),
            ("dependencies:\n- name: redis\n  version: |\n    1.0.0\n", r"block of text"),
        ],
    )
    def test_with_a_clear_message(self, text: str, words: str) -> None:
        with pytest.raises(EditError, match=words) as caught:
            set_charts(text, [("redis", "2.0.0")], path="some/file.yaml")
        assert "some/file.yaml" in caught.value.message
        assert caught.value.hint or "is a template" in caught.value.message

    @pytest.mark.parametrize("argument", ["redis", "=1.0", "redis=", "redis=1 0\n", "redis=latest@x"])
    def test_arguments(self, argument: str) -> None:
        with pytest.raises(UsageError, match="NAME=VERSION"):
            parse_chart(argument)

    def test_two_versions_for_one_chart(self) -> None:
        with pytest.raises(UsageError, match="redis"):
            set_charts(CHART, [("redis", "1.0.0"), ("redis", "2.0.0")], path="Chart.yaml")


class TestLock:
    """Digests as `helm dependency update` of Helm 3.22 wrote them."""

    CHART = (
        "apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies:\n- name: sub\n  alias: zwei\n"
        '  version: ">=0.0.1 <1"\n  repository: file://../sub\n  condition: sub.enabled\n  tags: [a, b]\n'
        "  import-values:\n  - data\n  - child: x.y\n    parent: 1\n  - {parent: b<c, child: a}\n"
    )
    LOCK = (
        "dependencies:\n- name: sub\n  repository: file://../sub\n  version: 0.1.0\n"
        "digest: sha256:35b95feedd636c6ded3678c7bbce5e38131eb8b8adafbb39dc188485490c01f9\n"
        'generated: "2026-11-21T13:51:40.038067327Z"\n'
    )
    NOW = "2026-11-21T14:00:00Z"

    def test_the_digest_that_helm_wrote(self) -> None:
        assert lock_digest(self.CHART, self.LOCK) == yaml.safe_load(self.LOCK)["digest"]

    def test_version_digest_and_time_follow(self) -> None:
        edit = set_charts(self.CHART, [("zwei", "0.2.0")], path="app/Chart.yaml")
        lock = relock(edit, self.LOCK, path="app/Chart.lock", now=self.NOW)
        assert [line for line in lock.new.splitlines() if line not in self.LOCK.splitlines()] == [
            "  version: 0.2.0",
            f"digest: {lock_digest(edit.new, lock.new)}",
            f'generated: "{self.NOW}"',
        ]
        assert lock_digest(edit.new, lock.new) != lock_digest(self.CHART, self.LOCK)
        assert lock.path == "app/Chart.lock"
        assert [change.field for change in lock.changes] == ["dependencies[0].version", "digest", "generated"]

    def test_nothing_changed(self) -> None:
        edit = set_charts(CHART, [("redis", "19.0.0")], path="Chart.yaml")
        lock = fresh_lock(CHART)
        assert not relock(edit, lock, path="Chart.lock", now=self.NOW).changed

    def test_another_own_version_leaves_the_lock(self) -> None:
        edit = set_charts(CHART, [("shop", "9.0.0")], path="Chart.yaml")
        assert not relock(edit, fresh_lock(CHART), path="Chart.lock", now=self.NOW).changed

    def test_a_repository_by_its_short_name(self) -> None:
        """Helm takes the digest over the address that its own settings give for `@name`; the lock file has it."""
        short = CHART.replace("https://charts.example.com/bitnami", '"@bitnami"')
        lock = fresh_lock(CHART)
        assert lock_digest(short, lock) == lock_digest(CHART, lock)
        edit = set_charts(short, [("redis", "19.1.0")], path="Chart.yaml")
        after = yaml.safe_load(relock(edit, lock, path="Chart.lock", now=self.NOW).new)
        assert after["dependencies"][0] == {
            "name": "redis", "repository": "https://charts.example.com/bitnami", "version": "19.1.0",
        }  # fmt: skip

    def test_the_prefix_of_the_repository_stays(self) -> None:
        """A repository may call `1.2.3` `v1.2.3`; an OCI tag must be spelt as it is there."""
        chart = CHART.replace("19.0.0", "1.0.0")
        lock = fresh_lock(chart).replace("version: 1.0.0", "version: v1.0.0")
        lock = lock.replace(yaml.safe_load(lock)["digest"], lock_digest(chart, lock))
        edit = set_charts(chart, [("redis", "1.1.0")], path="Chart.yaml")
        after = yaml.safe_load(relock(edit, lock, path="Chart.lock", now=self.NOW).new)
        assert after["dependencies"][0]["version"] == "v1.1.0"

    @pytest.mark.parametrize("version", ["^19", ">=19.0.0", "19.x", "19.1", "*", "19.0.0 || 20.0.0", "~19.1.0"])
    def test_a_range_cannot_be_locked(self, version: str) -> None:
        edit = set_charts(CHART, [("redis", version)], path="Chart.yaml")
        with pytest.raises(EditError, match=r"Chart.lock.*range") as caught:
            relock(edit, fresh_lock(CHART), path="Chart.lock", now=self.NOW)
        assert "helm dependency update" in (caught.value.hint or "")

    def test_a_lock_that_was_not_in_step(self) -> None:
        ranged = CHART.replace('"15.1.0"', '"^15"')
        edit = set_charts(ranged, [("redis", "19.1.0")], path="Chart.yaml")
        with pytest.raises(EditError, match="out of step") as caught:
            relock(edit, fresh_lock(CHART), path="Chart.lock", now=self.NOW)
        assert "helm dependency update" in (caught.value.hint or "")

    def test_a_run_that_was_killed_between_the_files_is_made_good(self) -> None:
        """With exact versions the lock follows from Chart.yaml, whatever it held."""
        done = set_charts(CHART, [("redis", "19.1.0")], path="Chart.yaml")
        again = set_charts(done.new, [("redis", "19.1.0")], path="Chart.yaml")
        assert not again.changed
        lock = relock(again, fresh_lock(CHART), path="Chart.lock", now=self.NOW)
        assert yaml.safe_load(lock.new)["dependencies"][0]["version"] == "19.1.0"
        assert yaml.safe_load(lock.new)["digest"] == lock_digest(done.new, lock.new)

    def test_other_dependencies_than_the_chart(self) -> None:
        lock = fresh_lock(CHART).replace("name: postgresql", "name: mysql")
        edit = set_charts(CHART, [("redis", "19.1.0")], path="Chart.yaml")
        with pytest.raises(EditError, match="postgresql"):
            relock(edit, lock, path="Chart.lock", now=self.NOW)

    def test_another_order_than_the_chart(self) -> None:
        entries = yaml.safe_load(fresh_lock(CHART))
        entries["dependencies"].reverse()
        edit = set_charts(CHART, [("redis", "19.1.0")], path="Chart.yaml")
        with pytest.raises(EditError, match="another order"):
            relock(edit, yaml.safe_dump(entries), path="Chart.lock", now=self.NOW)

    @pytest.mark.parametrize("text", ["", "nonsense", "dependencies: {}\n", "[1", "digest: x\n"])
    def test_no_lock_file_at_all(self, text: str) -> None:
        edit = set_charts(CHART, [("redis", "19.1.0")], path="Chart.yaml")
        with pytest.raises(EditError, match=r"Chart\.lock"):
            relock(edit, text, path="Chart.lock", now=self.NOW)

    @pytest.mark.parametrize(
        ("path", "lock"),
        [
            ("Chart.yaml", "Chart.lock"),
            ("a/b/Chart.yaml", "a/b/Chart.lock"),
            ("a/requirements.yaml", "a/requirements.lock"),
            ("a/values.yaml", None),
            ("helmfile.yaml", None),
        ],
    )
    def test_the_name_beside_it(self, path: str, lock: str | None) -> None:
        assert lock_name(path) == lock


def fresh_lock(chart: str) -> str:
    """The lock file that Helm writes for exact versions."""
    locked = [
        {"name": d["name"], "repository": d["repository"], "version": d["version"]}
        for d in yaml.safe_load(chart)["dependencies"]
    ]
    text = yaml.safe_dump(
        {"dependencies": locked, "digest": "sha256:" + "0" * 64, "generated": "2026-01-01T00:00:00.5+01:00"}
    )
    return text.replace("sha256:" + "0" * 64, lock_digest(chart, text))


SETTINGS = """\
apps:
  shop: {helm: {chart: redis, repository: https://charts.example.com, version: 1.0.0}}  # ours
  other: {helm: {chart: redis, repository: https://charts.example.com, version: 1.0.0}}
"""


def test_of_our_own_configuration_only_the_app_s_chart_is_set() -> None:
    tree = MemoryTree({".ci-gitops.yaml": SETTINGS, "apps/shop/values.yaml": "a: 1\n"})
    shop = TargetFiles(Target("shop", "staging", "apps/shop"))
    plan = plan_update(Intent(charts=(("redis", "1.1.0"),)), [shop], tree)
    (edit,) = plan.edits
    assert edit.new == SETTINGS.replace("1.0.0}}  # ours", "1.1.0}}  # ours")
    assert [move.field for move in plan.values] == ["apps.shop.helm.version"]
    assert "one for all environments" in plan.notes[0]
    with pytest.raises(EditError, match="used nowhere"):
        plan_update(Intent(charts=(("redis", "1.1.0"),)), [TargetFiles(Target("web", "staging", "apps/shop"))], tree)
