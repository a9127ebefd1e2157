"""What is wrong with the repository, the server or the call is said, and nothing is written."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.commands.test_update import LAYOUT, OVERLAY, STAGING, WEB, Config
from tests.rig.cli import Cli
from tests.rig.git_server import GitServer

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.fixture
def config(cli: Cli, git_server: GitServer) -> Config:
    return Config(cli, git_server)


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        (
            {".ci-gitops.yaml": b"environmets:\n  staging: {}\n"},
            2,
            ["environmets", "environments", ".ci-gitops.yaml:1"],
        ),
        ({".ci-gitops.yaml": b"apps:\n  shop: {path: ../../etc}\n"}, 2, ["apps.shop.path"]),
        ({".ci-gitops.yaml": b"apps: [\n"}, 2, [".ci-gitops.yaml"]),
        ({".ci-gitops.yaml": b"environments:\n  staging: {write: pusch}\n"}, 2, ["environments.staging.write", "push"]),
        ({STAGING: b"images: [\n"}, 1, [STAGING]),
        ({STAGING: b"\xff\xfe\x00"}, 1, [STAGING, "UTF-8"]),
        ({STAGING.replace(".yaml", ".yml"): OVERLAY}, 1, ["two kustomizations"]),
        ({STAGING: BOMB.encode()}, 1, [STAGING]),
        ({STAGING: b"a: " + b"[" * 5000 + b"]" * 5000 + b"\n"}, 1, [STAGING]),
        ({STAGING: b"images: &i\n- {name: %s, newTag: v1}\nother: *i\n" % WEB.encode()}, 1, [STAGING, "alias"]),
        ({STAGING: b"images:\n- name: {{ .Values.image }}\n"}, 1, [STAGING]),
    ],
)
def test_a_broken_repository(config: Config, files: dict[str, bytes], code: int, words: list[str]) -> None:
    config.server.commit(config.name, files)
    ran = config.update(f"{WEB}:1.2", "--environment", "staging")
    assert ran.code == code, ran.out + ran.err
    said = ran.json["error"]["message"] + " " + (ran.json["error"]["hint"] or "")
    assert all(word in said for word in words), said
    assert len(config.commits()) == 2
    assert "Traceback" not in ran.err


def test_a_link_out_of_the_tree_is_not_followed(config: Config) -> None:
    bare = config.server.bare(config.name)
    head = "commit refs/heads/main\ncommitter S <s@example.com> 1 +0000\ndata 1\nx\nfrom refs/heads/main^0\n"
    stream = f"{head}M 120000 inline {STAGING}\ndata 11\n/etc/passwd\n"
    subprocess.run(["git", "--git-dir", bare, "fast-import", "--quiet"], input=stream.encode(), check=True)
    ran = config.update(f"{WEB}:1.2", "--environment", "staging")
    assert ran.code in (1, 2), ran.out
    assert "root:" not in ran.out + ran.err
    assert len(config.commits()) == 2


@pytest.mark.parametrize("image", ["--upload-pack=x:1", "-c:1", "../../x:1", "web:1;id", "web:$(id)", "WEB/x y:1"])
def test_images_that_look_like_something_else(config: Config, image: str) -> None:
    ran = config.update("--environment", "staging", "--", image)
    assert ran.code == 2, ran.out
    assert len(config.commits()) == 1


def test_a_server_that_hangs_is_given_up(config: Config) -> None:
    config.server.hang = "upload-pack"
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", "--timeout", "2s")
    assert ran.code == 75, ran.out
    assert config.url.split("//")[1].split("/")[0] in ran.json["error"]["message"]


def test_a_host_that_is_not_there_may_come_back(config: Config) -> None:
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", "--timeout", "2s", repo="http://127.0.0.1:9/x.git")
    assert ran.code == 75, ran.out
    assert "127.0.0.1:9" in ran.json["error"]["message"]


def test_an_unknown_certificate_names_the_option(cli: Cli, git_tls_server: GitServer) -> None:
    url = git_tls_server.create("config", LAYOUT)
    words = ("-o", "json", "update", f"{WEB}:1.2", "--environment", "staging", "--repo", url)
    token = git_tls_server.password
    ran = cli(*words, CI_GITOPS_TOKEN=token)
    assert ran.code == 1, ran.out
    assert "--ca-file" in ran.json["error"]["hint"]
    trusted = cli(*words, "--ca-file", git_tls_server.ca_file, CI_GITOPS_TOKEN=token)
    assert trusted.code == 0, trusted.err


def test_a_dotenv_that_cannot_be_written_is_seen_before_anything_is(config: Config, tmp_path: Path) -> None:
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", "--dotenv", tmp_path / "missing" / "update.env")
    assert ran.code in (1, 2), ran.out
    assert "update.env" in ran.json["error"]["message"]
    assert len(config.commits()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle(config: Config, tmp_path: Path, number: signal.Signals) -> None:
    """While the server takes the push: nothing stays behind, and the next call goes on."""
    reached, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        go_on.wait(30)

    config.server.before_push = hold
    words = [
        sys.executable,
        "-m",
        "ci_gitops",
        "update",
        f"{WEB}:1.2",
        "--environment",
        "staging",
        "--repo",
        config.url,
    ]
    env = {**config.cli.env, "CI_GITOPS_TOKEN": config.server.password, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert reached.wait(60)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    go_on.set()
    assert process.returncode == 130, errors
    assert "Interrupted" in errors
    assert list(tmp_path.iterdir()) == []
    again = config.update(f"{WEB}:1.2", "--environment", "staging")
    assert again.code == 0, again.err
    assert '"1.2"' in config.read()
