"""`update` into an environment that wants signed images: what is not proved is not written."""

from __future__ import annotations

import io

import pytest

from ci_gitops.output import Output
from ci_gitops.run import Run
from ci_gitops.steps.update import update
from ci_gitops.steps.update_call import UpdateCall
from tests.rig.cli import Cli, Ran
from tests.rig.cosign import Signing
from tests.rig.git_server import GitServer
from tests.rig.registry import RegistryServer

CONFIG = b"""\
version: 1
apps:
  shop: {path: "apps/shop/{environment}"}
environments:
  staging: {}
  production:
    verify: {cosign: {key: robot.pub, tlog: false}}
"""


class Shop:
    """A config repository whose production wants what robot has signed."""

    def __init__(
        self, cli: Cli, server: GitServer, registry: RegistryServer, signing: Signing, repository: str
    ) -> None:
        self.cli, self.server, self.signing = cli, server, signing
        self.image, self.repository, self.registry = registry.image(repository), repository, registry
        overlay = f"images:\n- name: {self.image}\n  newTag: '0'\n".encode()
        files = {f"apps/shop/{name}/kustomization.yaml": overlay for name in ("staging", "production")}
        values = f"image: {{repository: {self.image}, tag: '0'}}\n".encode()
        self.url = server.create(
            "config",
            {".ci-gitops.yaml": CONFIG, "robot.pub": signing.key("robot").encode(), **files,
             "apps/shop/production/values.yaml": values},
        )  # fmt: skip

    def push(self, tag: str, signer: str | None = None) -> str:
        digest = self.registry.push(self.repository, tag, {"tag": tag})
        if signer:
            self.signing.sign("3", f"{self.image}@{digest}", signer)
        return digest

    def __call__(self, *words: object, environment: str = "production") -> Ran:
        env = {"CI_GITOPS_TOKEN": self.server.password, "PATH": self.signing.path("3")}
        return self.cli("-o", "json", "update", "--repo", self.url, "--environment", environment, *words, env=env)

    def overlay(self, environment: str = "production") -> str:
        return self.server.read("config", f"apps/shop/{environment}/kustomization.yaml").decode()


@pytest.fixture
def shop(cli: Cli, git_server: GitServer, registry: RegistryServer, signing: Signing, repository: str) -> Shop:
    return Shop(cli, git_server, registry, signing, repository)


def test_what_is_signed_is_written_with_the_digest_that_was_verified(shop: Shop) -> None:
    digest = shop.push("1", "robot")
    ran = shop(f"{shop.image}:1")
    assert ran.code == 0, ran.err
    assert f"newTag: '1'\n  digest: {digest}" in shop.overlay()
    assert "is signed by the key robot.pub" in ran.err
    assert shop(f"{shop.image}:1").json["outcome"] == "unchanged"


def test_what_is_not_signed_is_not_written(shop: Shop) -> None:
    head = shop.server.head("config")
    shop.push("1")
    ran = shop(f"{shop.image}:1")
    assert ran.code == 5, ran.err
    assert "is not signed" in ran.json["error"]["message"]
    shop.push("2", "mallory")
    assert "not by the key robot.pub" in shop(f"{shop.image}:2", "--dry-run").json["error"]["message"]
    assert shop.server.head("config") == head
    assert shop(f"{shop.image}:1", environment="staging").code == 0
    assert "newTag: '1'" in shop.overlay("staging")


def test_a_tag_that_is_set_as_any_value_names_no_digest(shop: Shop) -> None:
    shop.push("1", "robot")
    ran = shop("--set", "shop:values.yaml:image.tag=1")
    assert ran.code == 5, ran.err
    assert "without a digest" in ran.json["error"]["message"]
    assert "ci-gitops update" in ran.json["error"]["hint"]


def test_a_way_back_is_not_asked_for_a_signature(shop: Shop) -> None:
    run = Run(
        {"CI_GITOPS_TOKEN": shop.server.password, "PATH": shop.signing.path("3")}, output=Output(err=io.StringIO())
    )
    call = UpdateCall(
        images=(f"{shop.image}:9",), environments=("production",), apps=("shop",), repo=shop.url, back_to="1" * 40
    )
    update(run, call)
    assert "newTag: '9'" in shop.overlay()


@pytest.mark.parametrize(("version", "state"), [("3", "ok"), (None, "fail")])
def test_doctor_says_whether_cosign_is_there(shop: Shop, version: str | None, state: str) -> None:
    path = shop.signing.path(version) if version else "/usr/bin:/bin"
    env = {"CI_GITOPS_TOKEN": shop.server.password, "PATH": path}
    ran = shop.cli("-o", "json", "doctor", "--repo", shop.url, "--environment", "production", env=env)
    assert [one["state"] for one in ran.json["items"] if one["check"] == "signatures"] == [state], ran.out
