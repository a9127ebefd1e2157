"""`ci-gitops set` as people call it: files on disk, exit codes, documents, and the real Helm behind Chart.lock."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.rig.cli import Cli
from tests.rig.helm import Helm, chart

VALUES = "# shop\nreplicas: 2 # two\nimage: {tag: 'v1'}\n"


@pytest.fixture
def values(tmp_path: Path) -> Path:
    file = tmp_path / "values.yaml"
    file.write_text(VALUES)
    return file


def test_values_are_set_in_place(cli: Cli, values: Path) -> None:
    values.chmod(0o640)
    ran = cli("set", "replicas=3", "image.tag=v2", "--path", "values.yaml", cwd=values.parent)
    assert ran.code == 0, ran.err
    assert values.read_text() == "# shop\nreplicas: 3 # two\nimage: {tag: 'v2'}\n"
    assert "values.yaml" in ran.out
    assert "replicas: 2 -> 3" in ran.out
    assert values.stat().st_mode & 0o777 == 0o640
    again = cli("set", "replicas=3", "image.tag=v2", "--path", "values.yaml", cwd=values.parent)
    assert again.code == 0
    assert "nothing to do" in again.out.lower()


def test_json(cli: Cli, values: Path) -> None:
    ran = cli("-o", "json", "set", "replicas=3", "--path", values)
    assert ran.json["kind"] == "EditResult"
    (file,) = ran.json["files"]
    assert file["path"] == str(values)
    (change,) = file["changes"]
    assert {"field": "replicas", "old": "2", "new": "3"}.items() <= change.items()
    assert cli("-o", "json", "set", "replicas=3", "--path", values).json["files"] == []


def test_dry_run_shows_the_diff_and_writes_nothing(cli: Cli, values: Path) -> None:
    ran = cli("set", "replicas=3", "--path", values, "--dry-run")
    assert ran.code == 0
    assert "-replicas: 2 # two\n+replicas: 3 # two\n" in ran.out
    assert values.read_text() == VALUES


def test_a_type_that_changes_is_told(cli: Cli, values: Path) -> None:
    ran = cli("set", "replicas=1.10", "--path", values)
    assert ran.code == 0
    assert "is now the string '1.10'" in ran.err
    assert yaml.safe_load(values.read_text())["replicas"] == "1.10"


def test_several_files_get_the_same(cli: Cli, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(f"x: {name}\n")
    assert cli("set", "x=c", "--path", "a.yaml", "--path", "b.yaml", cwd=tmp_path).code == 0
    assert [(tmp_path / f"{name}.yaml").read_text() for name in "ab"] == ["x: c\n", "x: c\n"]


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "arguments", "code", "words"),
        [
            ("a: 1\n", ["b=2"], 1, "no key 'b'"),
            ("a: 1\nb: 2\n", ["a=3", "c=4"], 1, "no key 'c'"),
            ("a: [1\n", ["a=2"], 1, "not YAML"),
            ("a: 1\n{{ if x }}\nb: 2\n", ["a=2"], 1, "template"),
            ("a: |\n  x\n", ["a=2"], 1, "block of text"),
            ("x: &x 1\na: *x\n", ["a=2"], 1, "alias"),
            ("a: 1\n---\na: 2\n", ["a=3"], 1, "2 documents"),
            ("a: 1\n", ["a"], 2, "KEY=VALUE"),
            ("a: 1\n", ["a=1", "a=2"], 2, "given twice"),
            ("a: 1\n", [], 2, "KEY=VALUE"),
            ("a: 1\n", ["--chart", "redis"], 2, "NAME=VERSION"),
            ("a: 1\n", ["--chart", "redis=1.0.0"], 1, "names no chart"),
            ("\x00", ["a=1"], 1, "f.yaml"),
            ("&a [" * 200 + "]" * 200, ["a=1"], 1, "f.yaml"),
        ],
    )
    def test_and_nothing_is_written(
        self, cli: Cli, tmp_path: Path, content: str, arguments: list[str], code: int, words: str
    ) -> None:
        file = tmp_path / "f.yaml"
        file.write_text(content)
        ran = cli("set", *arguments, "--path", "f.yaml", cwd=tmp_path)
        assert ran.code == code, ran.err
        assert words in ran.err
        assert "Traceback" not in ran.err
        assert file.read_text() == content

    def test_a_later_file_keeps_the_first_from_being_written(self, cli: Cli, values: Path) -> None:
        ran = cli("set", "replicas=3", "--path", values, "--path", values.parent / "missing.yaml")
        assert ran.code == 1
        assert "missing.yaml" in ran.err
        assert values.read_text() == VALUES

    def test_no_path(self, cli: Cli, values: Path) -> None:
        ran = cli("set", "replicas=3", cwd=values.parent)
        assert ran.code == 2
        assert "--path" in ran.err

    def test_a_folder(self, cli: Cli, values: Path) -> None:
        ran = cli("set", "replicas=3", "--path", values.parent)
        assert ran.code in (1, 2)
        assert "folder" in ran.err

    def test_bytes_that_are_no_text(self, cli: Cli, values: Path) -> None:
        values.write_bytes(b"a: \xff\xfe\n")
        ran = cli("set", "a=1", "--path", values)
        assert ran.code == 1
        assert "UTF-8" in ran.err


DEPENDENCIES = """\
dependencies:
  # ours
  - name: cache
    version: 0.1.0   # follows the cache's own
    repository: "file://../cache"
    condition: cache.enabled
    tags: [a<b, ü]
    import-values:
      - child: x
        parent: y & z
  - {name: cache, alias: queue, version: 0.1.0, repository: "file://../cache"}
  - {name: base, version: ">=0.0.1 <2", repository: "file://../base"}
"""


@pytest.fixture
def chart_repository(helm: Helm, tmp_path: Path) -> Iterator[str]:
    """The address of a chart repository that serves `redis` 1.0.0 and 1.1.0, and `certs` v1.0.0 and v1.1.0."""
    folder = tmp_path / "repository"
    for name, versions in {"redis": ("1.0.0", "1.1.0"), "certs": ("v1.0.0", "v1.1.0")}.items():
        for version in versions:
            made = chart(tmp_path / "packed" / name, name, version)
            assert helm("package", made.parent, "-d", folder).returncode == 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    url = f"http://127.0.0.1:{server.server_port}/charts"
    (folder / "charts").mkdir()
    for archive in folder.glob("*.tgz"):
        archive.rename(folder / "charts" / archive.name)
    assert helm("repo", "index", folder / "charts").returncode == 0
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield url
    server.shutdown()
    server.server_close()
    thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class TestChartLock:
    @pytest.mark.parametrize("by_name", [False, True])
    def test_helm_fetches_what_the_lock_file_says(
        self, cli: Cli, helm: Helm, chart_repository: str, tmp_path: Path, by_name: bool
    ) -> None:
        assert helm("repo", "add", "ours", chart_repository).returncode == 0
        repository = '"@ours"' if by_name else chart_repository
        dependencies = (
            f"dependencies:\n- {{name: redis, version: 1.0.0, repository: {repository}}}\n"
            f"- {{name: certs, version: 1.0.0, repository: {repository}, condition: certs.enabled}}\n"
        )
        declared = chart(tmp_path / "shop", "shop", "1.0.0", dependencies)
        made = helm("dependency", "update", declared.parent)
        assert made.returncode == 0, made.stderr
        ran = cli("set", "--chart", "redis=1.1.0", "--chart", "certs=1.1.0", "--path", declared)
        assert ran.code == 0, ran.err
        built = helm("dependency", "build", declared.parent)
        assert built.returncode == 0, built.stderr
        assert sorted(file.name for file in (declared.parent / "charts").iterdir()) == [
            "certs-v1.1.0.tgz", "redis-1.1.0.tgz",
        ]  # fmt: skip
        kept = yaml.safe_load((declared.parent / "Chart.lock").read_text())
        (declared.parent / "Chart.lock").unlink()
        helm("dependency", "update", declared.parent)
        made_by_helm = yaml.safe_load((declared.parent / "Chart.lock").read_text())
        assert (kept["digest"], kept["dependencies"]) == (made_by_helm["digest"], made_by_helm["dependencies"])

    def test_helm_builds_with_the_lock_file_that_was_kept_in_step(self, cli: Cli, helm: Helm, tmp_path: Path) -> None:
        chart(tmp_path / "cache", "cache", "0.1.0")
        chart(tmp_path / "base", "base", "1.0.0")
        declared = chart(tmp_path / "shop", "shop", "1.0.0", DEPENDENCIES)
        made = helm("dependency", "update", declared.parent)
        assert made.returncode == 0, made.stderr
        lock = declared.parent / "Chart.lock"
        before, lock_before = declared.read_text(), lock.read_text()

        chart(tmp_path / "cache", "cache", "0.2.0")
        ran = cli("set", "--chart", "cache=0.2.0", "--path", "shop/Chart.yaml", cwd=tmp_path)
        assert ran.code == 0, ran.err
        assert declared.read_text() == before.replace("0.1.0", "0.2.0")
        assert "shop/Chart.lock" in ran.out
        assert "cache-0.1.0.tgz" in ran.err  # the old archive is still there
        assert "helm dependency build" in ran.err

        built = helm("dependency", "build", declared.parent)
        assert built.returncode == 0, built.stderr
        assert (declared.parent / "charts/cache-0.2.0.tgz").is_file()
        rendered = helm("template", declared.parent)
        assert "version: '0.2.0'" in rendered.stdout
        after = lock.read_text()
        assert len(after.splitlines()) == len(lock_before.splitlines())
        assert yaml.safe_load(after)["generated"] > yaml.safe_load(lock_before)["generated"]

        again = cli("set", "--chart", "cache=0.2.0", "--path", "shop/Chart.yaml", cwd=tmp_path)
        assert "nothing to do" in again.out.lower()
        assert lock.read_text() == after
        # What Helm itself would write is the same, but for the time.
        helm("dependency", "update", declared.parent)
        assert yaml.safe_load(lock.read_text())["digest"] == yaml.safe_load(after)["digest"]

    def test_a_key_that_is_a_dependency(self, cli: Cli, helm: Helm, tmp_path: Path) -> None:
        chart(tmp_path / "cache", "cache", "0.1.0")
        dependency = "dependencies:\n- {name: cache, version: 0.1.0, repository: 'file://../cache'}\n"
        declared = chart(tmp_path / "shop", "shop", "1.0.0", dependency)
        helm("dependency", "update", declared.parent)
        chart(tmp_path / "cache", "cache", "0.2.0")
        shutil.copytree(tmp_path / "cache", tmp_path / "elsewhere")
        ran = cli(
            "set", "dependencies[0].version=0.2.0", "dependencies[0].repository=file://../elsewhere",
            "version=1.1.0", "--path", declared,
        )  # fmt: skip
        assert ran.code == 0, ran.err
        built = helm("dependency", "build", declared.parent)
        assert built.returncode == 0, built.stderr

    def test_requirements_of_an_old_chart(self, cli: Cli, helm: Helm, tmp_path: Path) -> None:
        """Charts of apiVersion v1 keep their dependencies in files of their own."""
        chart(tmp_path / "cache", "cache", "0.1.0")
        declared = chart(tmp_path / "shop", "shop", "1.0.0")
        declared.write_text(declared.read_text().replace("apiVersion: v2", "apiVersion: v1"))
        requirements = declared.parent / "requirements.yaml"
        requirements.write_text("dependencies:\n- {name: cache, version: 0.1.0, repository: 'file://../cache'}\n")
        assert helm("dependency", "update", declared.parent).returncode == 0
        chart(tmp_path / "cache", "cache", "0.2.0")
        ran = cli("set", "--chart", "cache=0.2.0", "--path", requirements)
        assert ran.code == 0, ran.err
        assert "version: 0.2.0" in (declared.parent / "requirements.lock").read_text()
        built = helm("dependency", "build", declared.parent)
        assert built.returncode == 0, built.stderr
        assert "Helm v2" not in built.stderr

    def test_a_range_is_refused_and_nothing_written(self, cli: Cli, helm: Helm, tmp_path: Path) -> None:
        chart(tmp_path / "cache", "cache", "0.1.0")
        dependency = "dependencies:\n- {name: cache, version: 0.1.0, repository: 'file://../cache'}\n"
        declared = chart(tmp_path / "shop", "shop", "1.0.0", dependency)
        helm("dependency", "update", declared.parent)
        before = declared.read_text()
        ran = cli("set", "--chart", "cache=^0.2", "--path", declared)
        assert ran.code == 1
        assert "range '^0.2'" in ran.err
        assert "helm dependency update" in ran.err
        assert declared.read_text() == before
        (declared.parent / "Chart.lock").unlink()  # without a lock file a range is a version like any other
        assert cli("set", "--chart", "cache=^0.2", "--path", declared).code == 0
        assert "version: ^0.2" in declared.read_text()

    def test_other_values_of_a_chart_do_not_ask_for_its_lock_file(self, cli: Cli, tmp_path: Path) -> None:
        dependency = "dependencies:\n- {name: cache, version: ^1, repository: 'https://charts.example.com'}\n"
        declared = chart(tmp_path, "shop", "1.0.0", dependency)
        (tmp_path / "Chart.lock").write_text("stale\n")
        assert cli("set", "version=1.0.1", "--path", declared).code == 0
        assert (tmp_path / "Chart.lock").read_text() == "stale\n"


class TestCharts:
    def test_the_chart_of_the_current_folder(self, cli: Cli, tmp_path: Path) -> None:
        chart(tmp_path, "shop", "1.0.0", "dependencies:\n- {name: cache, version: 0.1.0}\n")
        ran = cli("set", "--chart", "cache=0.2.0", "--chart", "shop=1.1.0", cwd=tmp_path)
        assert ran.code == 0, ran.err
        assert (tmp_path / "Chart.yaml").read_text().count("0.2.0") == 1
        assert "version: 1.1.0" in (tmp_path / "Chart.yaml").read_text()

    def test_a_folder_with_a_chart(self, cli: Cli, tmp_path: Path) -> None:
        chart(tmp_path / "shop", "shop", "1.0.0", "dependencies:\n- {name: cache, version: 0.1.0}\n")
        assert cli("set", "--chart", "cache=0.2.0", "--path", "shop", cwd=tmp_path).code == 0
        assert "0.2.0" in (tmp_path / "shop/Chart.yaml").read_text()

    def test_in_one_of_several_files(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("releases:\n- {name: a, chart: x/redis, version: 1.0.0}\n")
        (tmp_path / "b.yaml").write_text("releases:\n- {name: b, chart: x/nginx, version: 1.0.0}\n")
        paths = ("--path", "a.yaml", "--path", "b.yaml")
        assert cli("set", "--chart", "nginx=2.0.0", *paths, cwd=tmp_path).code == 0
        assert "version: 1.0.0" in (tmp_path / "a.yaml").read_text()
        assert "version: 2.0.0" in (tmp_path / "b.yaml").read_text()
        ran = cli("set", "--chart", "ngin=2.0.0", *paths, cwd=tmp_path)
        assert ran.code == 1
        assert "'nginx'" in ran.err

    def test_none_here(self, cli: Cli, tmp_path: Path) -> None:
        ran = cli("set", "--chart", "nginx=2.0.0", cwd=tmp_path)
        assert ran.code == 2
        assert "--path" in ran.err
