"""Many `update` processes at once on one branch and one file: each lands exactly once, none is lost."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.rig.cli import Cli
from tests.rig.git_server import GitServer

_PATH = "apps/shop/overlays/staging/kustomization.yaml"


@pytest.mark.parametrize("writers", [8, pytest.param(50, marks=pytest.mark.full)])
def test_all_land_exactly_once(cli: Cli, git_server: GitServer, writers: int) -> None:
    entries = "".join(f"- name: registry.example.com/app{number}\n  newTag: v1\n" for number in range(writers))
    url = git_server.create("config", {_PATH: f"resources: []\nimages:\n{entries}".encode()})
    env = {**cli.env, "CI_GITOPS_TOKEN": git_server.password}
    words = [sys.executable, "-m", "ci_gitops", "-o", "json", "update", "--repo", url, "--environment", "staging"]
    running = [
        subprocess.Popen(
            [*words, f"registry.example.com/app{number}:v2"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for number in range(writers)
    ]
    ended = [(process.communicate(timeout=280), process.returncode) for process in running]
    assert [code for _, code in ended] == [0] * writers, [errors.decode() for (_, errors), _ in ended]
    results = [json.loads(out) for (out, _), _ in ended]
    assert {result["outcome"] for result in results} == {"pushed"}
    assert git_server.read("config", _PATH).count(b"newTag: v2") == writers
    subjects = [message.split("\n", 1)[0] for message in git_server.messages("config")]
    wanted = {f"deploy(staging): app{number} v1 -> v2" for number in range(writers)}
    assert sorted(subjects[:-1]) == sorted(wanted)
    assert max(result["attempts"] for result in results) > 1, "they did not race"


def test_a_race_that_is_never_won_ends_with_75(cli: Cli, git_server: GitServer) -> None:
    """Somebody always pushes first: bounded, told, and worth another try later."""
    entries = b"resources: []\nimages:\n- name: registry.example.com/app\n  newTag: v1\n"
    url = git_server.create("config", {_PATH: entries})
    number = 0

    def first() -> None:
        nonlocal number
        number += 1
        git_server.commit("config", {"README.md": b"%d\n" % number})
        git_server.before_push = first

    git_server.before_push = first
    ran = cli(
        "-o", "json", "update", "registry.example.com/app:v2", "--repo", url, "--environment", "staging",
        "--timeout", "3s", CI_GITOPS_TOKEN=git_server.password,
    )  # fmt: skip
    assert ran.code == 75
    assert "moved on each time" in ran.json["error"]["message"]
    assert b"v1" in git_server.read("config", _PATH)
