"""`preview create` where previews want signed images: what is not proved is not written."""

from __future__ import annotations

from tests.rig.cli import Cli, Ran
from tests.rig.cosign import Signing
from tests.rig.git_server import GitServer
from tests.rig.registry import RegistryServer

CONFIG = b"""\
version: 1
apps:
  shop: {path: "apps/shop/{environment}"}
previews: {verify: {cosign: {key: robot.pub, tlog: false}}}
"""


def test_what_is_signed_is_shown_with_the_digest_that_was_verified_and_nothing_else(
    cli: Cli, git_server: GitServer, registry: RegistryServer, signing: Signing, repository: str
) -> None:
    image = registry.image(repository)
    overlay = f"images:\n- name: {image}\n".encode()
    url = git_server.create("config", {
        ".ci-gitops.yaml": CONFIG, "robot.pub": signing.key("robot").encode(),
        "apps/shop/preview/kustomization.yaml": overlay,
    })  # fmt: skip

    def create(tag: str) -> Ran:
        env = {"CI_GITOPS_TOKEN": git_server.password, "PATH": signing.path("3")}
        return cli("-o", "json", "preview", "create", f"{image}:{tag}", "--name", "x", "--repo", url, env=env)

    head = git_server.head("config")
    registry.push(repository, "1", {"tag": "1"})
    refused = create("1")
    assert refused.code == 5, refused.err
    assert "is not signed" in refused.json["error"]["message"]
    assert git_server.head("config") == head

    digest = registry.push(repository, "2", {"tag": "2"})
    signing.sign("3", f"{image}@{digest}", "robot")
    ran = create("2")
    assert ran.code == 0, ran.err
    assert "is signed by the key robot.pub" in ran.err
    assert digest in git_server.read("config", "apps/shop/preview-x/kustomization.yaml").decode()
    assert create("2").json["outcome"] == "unchanged"
