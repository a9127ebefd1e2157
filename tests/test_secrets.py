"""No secret leaves the program: every command, at its most talkative, among servers and programs that repeat what
they are given, with secrets planted in variables, files, addresses and configurations."""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest
import yaml

from docs.generate import commands
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer, run_git
from tests.rig.leaks import Mirror, Planted, Trap, ssh_key
from tests.rig.parts import program

IMAGE = "registry.example.com/shop/web"
OVERLAY = f"resources: [deployment.yaml]\nimages:\n- name: {IMAGE}\n  newTag: '1.0'\n".encode()
DEPLOYMENT = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n"
    f"      containers:\n      - {{name: web, image: {IMAGE}}}\n"
).encode()
CONFIG = b"""\
version: 1
name: acme-config
apps:
  shop: {path: "apps/shop/overlays/{environment}"}
  map: {path: "plain/{environment}"}
environments:
  staging: {write: push}
  production: {from: staging, write: merge-request}
"""
TREE = {
    ".ci-gitops.yaml": CONFIG,
    **{f"apps/shop/overlays/{name}/kustomization.yaml": OVERLAY for name in ("staging", "production")},
    **{f"apps/shop/overlays/{name}/deployment.yaml": DEPLOYMENT for name in ("staging", "production")},
    **{f"plain/{name}/deployment.yaml": DEPLOYMENT for name in ("staging", "production")},
}
COMMANDS = {words: command for words, command in commands() if not isinstance(command, click.Group)}
Call = tuple[list[object], Mapping[str, str]]


@dataclass
class Stage:
    """Where the secrets are, and the addresses of what repeats them."""

    folder: Path
    git: GitServer
    planted: Planted
    trap: Trap
    refuses: str  # hosts: a mirror that answers 401,
    forbids: str  # 403,
    fails: str  # and 500
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.git.url("config")

    def secret_url(self, host: str, path: str = "config.git") -> str:
        """An address with a password in it."""
        return f"http://eve:{urllib.parse.quote(self.planted(f'url of {host}'), safe='')}@{host}/{path}"

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def stage(tmp_path: Path, git_server: GitServer) -> Iterator[Stage]:
    program("ssh-keygen", "Debian's package `openssh-client`")
    planted, trap = Planted(), Trap(tmp_path / "trap")
    git_server.create("config", TREE)
    git_server.password = planted("CI_GITOPS_TOKEN")
    with ExitStack() as stack:
        mirrors = [stack.enter_context(Mirror(status)).host for status in (401, 403, 500)]
        made = Stage(tmp_path / "work", git_server, planted, trap, *mirrors)
        made.environ.update(_variables(made), **trap.environ())
        _files(made)
        yield made


def _variables(stage: Stage) -> dict[str, str]:
    named = (
        "CI_GITOPS_TOKEN", "CI_GITOPS_TOKEN_PRODUCTION", "CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD", "DOCKER_REGISTRY_PWD",
        "CI_GITOPS_SIGNING_PASSPHRASE", "CI_GITOPS_BUILD_REGISTRY_PASSWORD", "CI_GITOPS_PLAN_KEY", "DATABASE_PASSWORD",
    )  # fmt: skip
    keys = {name: stage.planted(name, ssh_key(_made(stage.folder / name))) for name in _KEYS}
    auth = {"auths": {stage.forbids: {"auth": _basic(stage.planted("DOCKER_AUTH_CONFIG"))}}}
    return {
        **{name: stage.planted(name) for name in named},
        **keys,
        "DOCKER_AUTH_CONFIG": json.dumps(auth),
        "CI_REGISTRY": stage.refuses,
        "CI_REGISTRY_USER": "ci",
        "https_proxy": f"http://proxy:{urllib.parse.quote(stage.planted('https_proxy'), safe='')}@127.0.0.1:9",
        "no_proxy": "127.0.0.1,localhost",
    }


_KEYS = ("GITLAB_ID_RSA", "CI_GITOPS_SIGNING_KEY")


def _files(stage: Stage) -> None:
    """A checkout with an address that holds a password, an application, and the files that hold secrets."""
    for path, contents in TREE.items():
        stage.file(f"config/{path}", contents.decode())
    run_git("init", "-q", "-b", "main", stage.folder / "config")
    run_git("-C", stage.folder / "config", "add", "-A")
    run_git("-C", stage.folder / "config", "commit", "-q", "-m", "First")
    run_git("-C", stage.folder / "config", "remote", "add", "origin", stage.secret_url(stage.forbids))
    stage.file("app/Dockerfile", "FROM scratch\nARG DATABASE_PASSWORD\nCOPY Dockerfile /\n")
    stage.file("values.yaml", f"image: {IMAGE}:1.0\npassword: {json.dumps(stage.planted('DATABASE_PASSWORD'))}\n")
    stage.file("token", stage.planted("token file") + "\n")
    stage.file("npmrc", stage.planted("build secret") + "\n")
    docker = {"auths": {stage.fails: {"auth": _basic(stage.planted("docker config"))}}}
    (stage.trap.home / ".docker").mkdir()
    (stage.trap.home / ".docker/config.json").write_text(json.dumps(docker))
    user = {"name": "u", "user": {"token": stage.planted("kubeconfig")}}
    cluster = {"name": "c", "cluster": {"server": f"http://{stage.forbids}"}}
    context = {"name": "staging", "context": {"cluster": "c", "user": "u"}}
    kubeconfig = {"apiVersion": "v1", "kind": "Config", "current-context": "staging",
                  "users": [user], "clusters": [cluster], "contexts": [context]}  # fmt: skip
    stage.file("kubeconfig", yaml.safe_dump(kubeconfig))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _basic(password: str) -> str:
    return base64.b64encode(f"bob:{password}".encode()).decode()


def _calls(words: str, stage: Stage) -> list[Call]:
    """How a command is called here; one that is not named gets the calls that fit most."""
    own = _OWN.get(words)
    if own:
        return own(stage)
    known = {name for parameter in COMMANDS[words].params for name in parameter.opts}
    call: list[object] = words.split(" ")
    if "--environment" in known:
        call += ["--environment", "staging"]
    repositories = (stage.url, stage.secret_url(stage.refuses), stage.git.bare("config"))
    elsewhere: list[Call] = [([*call, "--repo", url], {}) for url in repositories if "--repo" in known]
    return [(call, {}), (call, {"_CWD": "config"}), *elsewhere]


def _build(stage: Stage) -> list[Call]:
    given: list[object] = ["--build-arg", "DATABASE_PASSWORD", "--secret", "id=npm,src=npmrc"]
    call: list[object] = ["build", "app", "--tag", "1", *given]
    no_password = {"CI_GITOPS_BUILD_REGISTRY_PASSWORD": ""}
    return [
        ([*call, "--image", f"{stage.forbids}/web", "--engine", "buildah", "--registry-user", "eve"], {}),
        ([*call, "--image", f"{stage.refuses}/web", "--engine", "buildkit"], no_password),
        ([*call, "--image", f"{stage.fails}/web", "--engine", "buildah", "--timeout", "3s"], no_password),
        ([*call, "--image", f"{stage.forbids}/web", "--dry-run"], no_password),
        ([*call, "--image", f"{stage.forbids}/web"], no_password),
    ]


def _update(stage: Stage) -> list[Call]:
    call: list[object] = ["update", f"{IMAGE}:2.0", "--app", "shop", "--environment", "staging", "--repo"]
    other: list[object] = ["update", f"{IMAGE}:3.0", "--environment", "staging", "--sign", "ssh", "--repo"]
    password = urllib.parse.quote(stage.git.password, safe="")
    stage.git.create("guarded", TREE)
    stage.git.reject("guarded", f"your token {stage.git.password} may not push here")
    no_token, no_passphrase = {"CI_GITOPS_TOKEN": ""}, {"CI_GITOPS_SIGNING_PASSPHRASE": ""}
    return [
        ([*call, stage.url, "--dry-run"], {}),
        ([*call, stage.url], {}),
        ([*other, stage.url.replace("://", f"://oauth2:{password}@")], {**no_token, **no_passphrase}),
        ([*call, stage.git.url("guarded")], {}),
        ([*call, stage.secret_url(stage.refuses)], no_token),
        ([*call, f"http://{stage.forbids}/config.git", "--token-file", "token"], {}),
        ([*call, f"http://{stage.fails}/config.git", "--timeout", "2s"], {}),
        ([*call, "ssh://git@127.0.0.1:9/config.git", "--timeout", "2s"], {}),
        (["update", f"{stage.forbids}/web:2.0", "--environment", "staging", "--repo", stage.url, "--pin"], {}),
        (["update", f"{IMAGE}:2.0", "--environment", "production", "--repo", stage.url, "--forge", "gitlab",
          "--forge-url", f"http://{stage.forbids}"], {"CI_GITOPS_TOKEN_PRODUCTION": stage.git.password}),
        (["update", f"{IMAGE}:2.0", "--environment", "production", "--repo", stage.git.bare("config")], {}),
    ]  # fmt: skip


def _deploy(stage: Stage) -> list[Call]:
    call: list[object] = ["deploy", "--environment", "staging"]
    return [
        ([*call, "--repo", stage.url, "--destination", "dir:out"], {}),
        ([*call, "--app", "map", "--repo", stage.url, "--destination", "dir:out"], {}),
        ([*call, "--app", "map", "--repo", stage.url, "--kubeconfig", "kubeconfig", "--context", "staging"], {}),
        ([*call, "--repo", stage.secret_url(stage.forbids), "--destination", "dir:out"], {"CI_GITOPS_TOKEN": ""}),
    ]


def _merge(stage: Stage) -> list[Call]:
    return [
        (["merge", "--repo", stage.git.bare("config"), "--environment", "production", "--approve"], {}),
        (["merge", "--repo", stage.url, "--forge", "gitlab"], {"CI_SERVER_URL": f"http://{stage.forbids}"}),
        (["merge", "--repo", stage.secret_url(stage.refuses)], {}),
    ]


def _config_show(stage: Stage) -> list[Call]:
    call: list[object] = ["config", "show"]
    return [
        (call, {"_CWD": "config"}),
        ([*call, "--repo", stage.secret_url(stage.refuses)], {}),
        (call, {"CI_GITOPS_REPO": stage.secret_url(stage.forbids), "CI_GITOPS_UPDATE_MESSAGE": "x"}),
    ]


def _set(stage: Stage) -> list[Call]:
    return [
        (["set", "image=x", "--path", "values.yaml", "--dry-run"], {}),
        (["set", f"image={stage.planted('DATABASE_PASSWORD')}", "--path", "values.yaml"], {}),
        (["set", "password.x=1", "--path", "values.yaml"], {}),
    ]


def _set_image(stage: Stage) -> list[Call]:
    return [
        (["set-image", f"{IMAGE}:2", "--path", "values.yaml", "--key", "image", *more], {})
        for more in (["--dry-run"], [])
    ]


_OWN = {
    "build": _build,
    "update": _update,
    "deploy": _deploy,
    "merge": _merge,
    "config show": _config_show,
    "set": _set,
    "set-image": _set_image,
    "init": lambda _: [(["init", "--dry-run"], {"_CWD": "config"})],
    "completion": lambda _: [(["completion", "bash"], {})],
    "demo": lambda _: [(["demo"], {})],
}


@pytest.mark.parametrize("words", COMMANDS)
def test_no_secret_leaves(cli: Cli, stage: Stage, words: str) -> None:
    for number, (arguments, variables) in enumerate(_calls(words, stage)):
        shape = ["-o", "json", "--log-format", "json"] if number % 2 else []
        environ = {**stage.environ, **variables}
        folder = stage.folder / environ.pop("_CWD", "")
        ran = cli("-vv", *shape, *arguments, cwd=folder, env=environ, timeout=200)
        _check(stage, ran, arguments)
    for name in ("config", "guarded"):
        if stage.git.bare(name).exists():
            log = run_git("--git-dir", stage.git.bare(name), "log", "--all", "-p", "--format=raw")
            assert not stage.planted.found_in(log.encode()), f"in the commits of {name}"


def _check(stage: Stage, ran: Ran, arguments: list[object]) -> None:
    about = f"ci-gitops {' '.join(map(str, arguments))}\n{ran.out}\n{ran.err}"
    assert ran.code in (0, 1, 2, 3, 4, 5, 75), about
    assert ran.code == 0 or re.search(r'(?m)^Error: |"level": "error"', ran.err), about
    assert not stage.planted.found_in(ran.out.encode()), about
    assert not stage.planted.found_in(ran.err.encode()), about
    called = stage.trap.arguments()
    assert not stage.planted.found_in(called), f"arguments of a program: {called.decode()}\n{about}"
    for file in stage.trap.left_behind():
        assert not stage.planted.found_in(file.read_bytes()), f"{file} was left behind\n{about}"


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("scheme", ["ssh", "http"])
def test_no_secret_stays_after_an_interruption(stage: Stage, scheme: str, by: signal.Signals) -> None:
    """The server takes the connection and says nothing; the job is stopped while keys and helpers lie ready."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"{scheme}://git@127.0.0.1:{silent.getsockname()[1]}/config.git"
        call = ["update", f"{IMAGE}:2.0", "--environment", "staging", "--repo", url]
        root = Path(__file__).parents[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "ci_gitops", *call], cwd=stage.folder, stderr=subprocess.PIPE, text=True,
            env={**stage.environ, "PYTHONPATH": str(root), "CI_GITOPS_SSH_HOST_KEYS": "accept-new"},
        )  # fmt: skip
        connection, _ = silent.accept()
        lying = [file for file in stage.trap.left_behind() if stage.planted.found_in(file.read_bytes())]
        assert scheme == "http" or lying  # the key is in a file, for ssh to read
        assert all(file.stat().st_mode & 0o077 == 0 for file in lying)
        process.send_signal(by)
        _, errors = process.communicate(timeout=60)
        connection.close()
    assert process.returncode == 130, errors
    assert not stage.planted.found_in(errors.encode())
    assert not list(stage.trap.left_behind())


def test_the_trap_itself(stage: Stage) -> None:
    """What it is to find, it finds: in any form, in the arguments of a program that a program starts, in a file."""
    for place, value in stage.planted.values.items():
        for form in (
            value,
            urllib.parse.quote(value, safe=""),
            json.dumps(value),
            base64.b64encode(value.encode()).decode(),
        ):
            assert place in stage.planted.found_in(f"x {form} y".encode())
    assert stage.planted.found_in(_basic(stage.planted("CI_GITOPS_TOKEN")).encode())
    url = stage.secret_url(stage.refuses)
    subprocess.run(["git", "ls-remote", url], env=stage.environ, capture_output=True, check=False, timeout=60)
    assert stage.planted.found_in(stage.trap.arguments())
    (stage.trap.temporary / "left").write_text(stage.planted("CI_GITOPS_TOKEN"))
    assert [stage.planted.found_in(file.read_bytes()) for file in stage.trap.left_behind()] == [["CI_GITOPS_TOKEN"]]
