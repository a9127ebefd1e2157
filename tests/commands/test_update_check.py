"""`--check` renders before it writes; `--pin` asks the registry. On the real kustomize and a real registry."""

from __future__ import annotations

import os

import pytest

from tests.commands.test_update import LAYOUT, STAGING, WEB, Config
from tests.rig.cli import Cli
from tests.rig.git_server import GitServer
from tests.rig.parts import program
from tests.rig.registry import RegistryServer

_PATCH = b"""\
resources: [../../base]
images:
- {name: registry.example.com/shop/web, newTag: "1.1"}
transformers:
- late.yaml
"""
_LATE = b"""\
apiVersion: builtin
kind: ImageTagTransformer
metadata: {name: late}
imageTag: {name: registry.example.com/shop/web, newTag: fixed}
"""


@pytest.fixture
def config(cli: Cli, git_server: GitServer) -> Config:
    kustomize = program("kustomize", "https://kubectl.docs.kubernetes.io/installation/kustomize/")
    cli.env["PATH"] = os.pathsep.join([os.path.dirname(kustomize), cli.env["PATH"]])  # noqa: PTH120
    return Config(cli, git_server, {**LAYOUT, "big/unrelated.bin": b"\0" * 100})


def test_what_builds_is_written(config: Config) -> None:
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", "--check")
    assert (ran.code, ran.json["outcome"]) == (0, "pushed"), ran.err


def test_what_does_not_build_is_not(config: Config) -> None:
    config.server.commit(
        config.name, {"apps/shop/base/kustomization.yaml": b"resources: [deployment.yaml, gone.yaml]\n"}
    )
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", "--check")
    assert ran.code == 1
    assert "gone.yaml" in ran.json["error"]["message"]
    assert len(config.commits()) == 2


def test_what_lacks_the_image_afterwards_is_not(config: Config) -> None:
    config.server.commit(config.name, {STAGING: _PATCH, STAGING.replace("kustomization", "late"): _LATE})
    ran = config.update(f"{WEB}:1.2", "--environment", "staging", "--check")
    assert ran.code == 1
    assert f"does not use {WEB}:1.2" in ran.json["error"]["message"]
    assert f"{WEB}:fixed" in ran.json["error"]["message"]
    assert len(config.commits()) == 2


_CHART = {
    "charts/shop/Chart.yaml": b"apiVersion: v2\nname: shop\nversion: 1.0.0\n",
    "charts/shop/templates/pod.yaml": b"""\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"}]}
""",
    "charts/shop/values-staging.yaml": b"image:\n  repository: registry.example.com/shop/web\n  tag: '1.1'\n",
}


def test_a_chart_is_rendered_with_what_it_shares(cli: Cli, git_server: GitServer, config: Config) -> None:
    chart = Config(cli, git_server, _CHART)
    ran = chart.update(f"{WEB}:1.2", "--environment", "staging", "--check")
    assert (ran.code, ran.json["outcome"]) == (0, "pushed"), ran.err
    git_server.commit(chart.name, {"charts/shop/templates/bad.yaml": b'{{ fail "no such mode" }}'})
    ran = chart.update(f"{WEB}:1.3", "--environment", "staging", "--check")
    assert ran.code == 1
    assert "no such mode" in ran.json["error"]["message"]


def test_a_tag_is_pinned_to_its_digest(
    cli: Cli, git_server: GitServer, registry: RegistryServer, repository: str
) -> None:
    digest = registry.push(repository, "1.2")
    image = registry.image(repository)
    overlay = f"resources: []\nimages:\n- name: {image}\n  newTag: '1.1'\n".encode()
    config = Config(cli, git_server, {STAGING: overlay})
    ran = config.update(f"{image}:1.2", "--environment", "staging", "--pin")
    assert ran.code == 0, ran.err
    assert f"  newTag: '1.2'\n  digest: {digest}\n" in config.read()
    missing = config.update(f"{image}:1.3", "--environment", "staging", "--pin")
    assert missing.code == 1
    assert f"{image}:1.3" in missing.json["error"]["message"]
    assert len(config.commits()) == 2
