"""What the image's build downloads: all programs of image/tools.txt as their projects released them, or none."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.mirror import Fault, Handler, Mirror, archive, cut, lost, other, running_mirror, sent_to
from tests.rig.registry import Certificates

ROOT = Path(__file__).parents[1]
PROGRAMS = {
    name: f"#!/bin/sh\necho {name}\n".encode() * 40 for name in ("cosign", "helm", "kubectl", "kustomize", "sops")
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The fetcher with a list of its own."""
    folder = tmp_path / "image"
    folder.mkdir()
    for name in ("fetch_tools.py", "tools.txt"):
        shutil.copy(ROOT / "image" / name, folder)
    return folder


@pytest.fixture
def mirror(tmp_path: Path, image: Path) -> Iterator[Mirror]:
    with running_mirror(tmp_path / "mirror") as server:
        for architecture in ("amd64", "arm64"):
            server.release(image, PROGRAMS, architecture)
        yield server


def fetch(image: Path, *words: str, ok: bool = True, **variables: str) -> str:
    argv = [sys.executable, image / "fetch_tools.py", *words]
    done = subprocess.run(argv, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout if ok else done.stderr


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_every_program_lands_as_it_was_released(mirror: Mirror, image: Path, tmp_path: Path, architecture: str) -> None:
    tools = tmp_path / "tools"
    fetch(image, architecture, str(tools), mirror.address + "/")
    assert {file.name: file.read_bytes() for file in tools.iterdir()} == PROGRAMS
    assert {stat.S_IMODE(file.stat().st_mode) for file in tools.iterdir()} == {0o755}
    assert len(mirror.asked) == len(PROGRAMS)
    assert f"/dl.k8s.io/release/v1.35.2/bin/linux/{architecture}/kubectl" in mirror.asked
    assert all(architecture in path for path in mirror.asked)


def elsewhere(handler: Handler, file: Path) -> None:
    sent_to(handler.mirror.address.replace("127.0.0.1", "127.0.0.2") + "/helm.tar.gz")(handler, file)


@pytest.mark.parametrize(
    ("asked", "fault", "said"),
    [
        ("helm-v", other, "has the SHA-256 "),
        ("cosign-linux", other, "tools.txt expects "),
        ("sops-v", cut, "ended after 400 of 800 bytes"),
        ("kubectl", lost, "answers 404 Not Found; kubectl 1.35.2 is wanted from there"),
        ("helm-v", elsewhere, "sends us to http://127.0.0.2:"),
        ("helm-v", sent_to("file:///etc/passwd"), "Redirection to url 'file:///etc/passwd' is not allowed"),
        ("helm-v", sent_to("https://releases.githubusercontent.com/helm"), "sends us to https://releases.github"),
    ],
)
def test_what_is_not_what_was_released_is_refused_and_leaves_nothing(
    mirror: Mirror, image: Path, tmp_path: Path, asked: str, fault: Fault, said: str
) -> None:
    mirror.faults[asked] = fault
    before = set(tmp_path.iterdir())
    message = fetch(image, "amd64", str(tmp_path / "tools"), mirror.address, ok=False)
    assert said in message
    assert message.startswith(mirror.address)
    assert message.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


def test_programs_that_were_there_stay_where_one_cannot_be_had(mirror: Mirror, image: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cosign").write_text("the old one")
    mirror.faults["sops-v"] = lost
    fetch(image, "amd64", str(tools), mirror.address, ok=False)
    assert [(file.name, file.read_text()) for file in tools.iterdir()] == [("cosign", "the old one")]


def test_an_archive_without_the_program_is_refused(mirror: Mirror, image: Path, tmp_path: Path) -> None:
    listed = image / "tools.txt"
    listed.write_text(listed.read_text().replace(" linux-amd64/helm", " linux-amd64/tiller"))
    message = fetch(image, "amd64", str(tmp_path / "tools"), mirror.address, ok=False)
    assert "has no linux-amd64/tiller" in message
    listed.write_text(listed.read_text().replace("/cosign-linux-amd64", "/cosign-linux-amd64 cosign"))
    assert "has no cosign" in fetch(image, "amd64", str(tmp_path / "tools"), mirror.address, ok=False)


def test_a_mirror_may_send_within_itself(mirror: Mirror, image: Path, tmp_path: Path) -> None:
    (mirror.folder / "store").write_bytes(archive(PROGRAMS["helm"], "linux-amd64/helm"))
    mirror.faults["helm-v"] = sent_to("/store")
    fetch(image, "amd64", str(tmp_path / "tools"), mirror.address)
    assert (tmp_path / "tools/helm").read_bytes() == PROGRAMS["helm"]


def test_a_mirror_with_a_certificate_of_its_own(image: Path, tmp_path: Path, certificates: Certificates) -> None:
    with running_mirror(tmp_path / "mirror", tls=certificates.issue("127.0.0.1", "mirror")) as mirror:
        mirror.release(image, PROGRAMS, "amd64")
        tools = tmp_path / "tools"
        assert "certificate verify failed" in fetch(image, "amd64", str(tools), mirror.address, ok=False)
        mirror.faults["helm-v"] = sent_to(mirror.address.replace("https", "http") + "/store")
        known = {"SSL_CERT_FILE": str(certificates.authority)}
        assert "sends us to http://" in fetch(image, "amd64", str(tools), mirror.address, ok=False, **known)
        assert not tools.exists()
        mirror.faults.clear()
        fetch(image, "amd64", str(tools), mirror.address, **known)
        assert len(list(tools.iterdir())) == len(PROGRAMS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("riscv64", "tools"), "tools.txt names nothing for riscv64."),
        (("amd64", "tools", "mirror.example.com"), "like https://mirror.example.com/tools, not 'mirror.example.com'"),
        (("amd64", "tools", "https://ada:rabbit-hole-7@mirror.example.com"), "without a password"),
        (("amd64", "tools", "http://127.0.0.1:1"), "cannot be read: [Errno 111] Connection refused."),
    ],
)
def test_what_cannot_be_asked_is_told(image: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    architecture, folder, *mirror = words
    message = fetch(image, architecture, str(tmp_path / folder), *mirror, ok=False)
    assert said in message
    assert "rabbit" not in message


@pytest.mark.parametrize(
    ("address", "target", "followed"),
    [
        ("https://github.com/a/b", "https://release-assets.githubusercontent.com/c?sig=d", True),
        ("https://github.com/a/b", "https://objects.githubusercontent.com/c", True),
        ("https://github.com/a/b", "https://githubusercontent.com.example.com/c", False),
        ("https://github.com/a/b", "http://objects.githubusercontent.com/c", False),
        ("https://dl.k8s.io/a", "https://cdn.dl.k8s.io/a", True),
        ("https://get.helm.sh/a", "https://get.helm.sh/b", True),
        ("https://get.helm.sh/a", "https://cdn.dl.k8s.io/b", False),
        ("http://mirror/a", "https://mirror/b", True),
        ("http://mirror/a", "http://mirror:8080/b", False),
    ],
)
def test_where_a_download_may_lead(address: str, target: str, followed: bool) -> None:
    spec = importlib.util.spec_from_file_location("fetch_tools", ROOT / "image/fetch_tools.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["fetch_tools"] = module
    spec.loader.exec_module(module)
    assert module.followed(address, target) is followed
