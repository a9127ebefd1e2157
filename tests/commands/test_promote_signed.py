"""`promote` into an environment that wants signed images."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.cosign import Signing
from tests.rig.promoting import Road
from tests.rig.registry import RegistryServer

VERIFY = "verify: {cosign: {key: robot.pub, tlog: false}}"


@pytest.mark.parametrize("write", ["push", "merge-request"])
def test_only_what_is_signed_is_promoted(
    tmp_path: Path, registry: RegistryServer, signing: Signing, write: str
) -> None:
    road = Road(tmp_path, registry, production=f"write: {write}, {VERIFY}",
                files={"robot.pub": signing.key("robot").encode()}, name=f"signed-{write}")  # fmt: skip
    tag = f"signed-{write}"
    image, digest = road.web, road.push(tag)
    road.deployed("shop", f"{image}:{tag}@{digest}")
    refs = road.server.refs(road.name)
    refused = road()
    assert refused.code == 5, refused.said
    assert f"{image}:{tag}@{digest} is not signed" in str(refused.error)
    assert road.server.refs(road.name) == refs
    signing.sign("3", f"{image}@{digest}", "robot")
    done = road()
    assert done.code == 0, done.error
    assert done.json["outcome"] in ("pushed", "opened")
    assert "is signed by the key robot.pub" in done.said
