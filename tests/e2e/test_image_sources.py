"""The image from elsewhere: mirrors of releases and of Debian's days, another engine, another architecture."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_gitops import __version__
from tests.rig.engine import DockerEngine
from tests.rig.image import REPOSITORY, TOOLS, Images, arguments, build_image, image_parts, imported_base
from tests.rig.install import emulated, lists_of, output, wanted
from tests.rig.layers import differences, files
from tests.rig.mirror import Mirror, lost, running_mirror
from tests.rig.parts import missing, program
from tests.rig.registry import RegistryServer

pytestmark = [pytest.mark.full, pytest.mark.timeout(3000)]
ROOT = Path(__file__).parents[2]
DAY, LATER = "20260101T000000Z", "20260201T000000Z"
HOST = ("--allow", "network.host")


@pytest.fixture(scope="module")
def archive_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of GnuPG with the key of an archive."""
    home = tmp_path_factory.mktemp("key")
    home.chmod(0o700)
    gpg = [program("gpg", "install Debian's gnupg"), "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-generate-key", "archive@example.com", "rsa2048", "sign"], check=True)
    subprocess.run([*gpg, "--armor", "--output", home / "archive.asc", "--export"], check=True)
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory, image_context: Path, archive_key: Path) -> Iterator[Mirror]:
    """Real programs and Debian packages; tini is a newer one on the later day."""
    packages = sorted((image_parts("bare") / "debian/archives").glob("*.deb"))
    if not packages:
        missing(
            "Debian's packages for our image", "`CI_GITOPS_TEST_FULL=1 make parts` downloads them, as root on Debian"
        )
    home = tmp_path_factory.mktemp("mirror")
    newer = home / "tini_1.0_amd64.deb"
    tini = next(package for package in packages if package.name.startswith("tini_"))
    with running_mirror(home / "served") as server:
        server.debian(DAY, packages, archive_key)
        server.debian(LATER, [*packages, again(tini, "1.0", newer)], archive_key)
        programs = {name: (image_context / "dist/tools/amd64" / name).read_bytes() for name in TOOLS}
        server.release(image_context / "image", programs, "amd64")
        yield server
    shutil.copy(ROOT / "image/tools.txt", image_context / "image")


def again(package: Path, version: str, target: Path) -> Path:
    """The same package by another version."""
    tree = target.with_suffix("")
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines(keepends=True)
    control.write_text("".join(f"Version: {version}\n" if line.startswith("Version:") else line for line in lines))
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, target], check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def bare(modern_docker_engine: DockerEngine, archive_key: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Debian as it begins, which trusts the mirror's key too."""
    known = tmp_path_factory.mktemp("bare") / "root.tar"
    shutil.copy(image_parts("bare") / "bases/bare/root.tar", known)
    with tarfile.open(known, "a") as root:
        root.add(archive_key / "archive.asc", "./etc/apt/trusted.gpg.d/ours.asc")
    modern_docker_engine.docker("import", known, "ci-gitops-base:bare-with-key")
    known.unlink()
    return "ci-gitops-base:bare-with-key"


def test_downloads_come_from_the_mirrors_alone_and_give_the_same_digest(
    mirror: Mirror, bare: str, modern_docker_engine: DockerEngine, registry: RegistryServer, image_context: Path
) -> None:
    given = {"BASE": bare, "TOOLS": "upstream", "TOOLS_MIRROR": mirror.address, "DEBIAN_MIRROR": mirror.address}
    parts = (modern_docker_engine, registry, image_context)
    first = build_image(*parts, "full", *HOST, tag="mirrored", network="host", SNAPSHOT=DAY, **given)
    assert mirror.days == {DAY}
    assert all(any(name in path for path in mirror.asked) for name in TOOLS)
    said = first.run(
        "set -eu\nkubectl version --client\nbuildah --version\ndpkg-query -W tini\nls -A /var/lib/apt/lists"
    )
    assert re.search(r"buildah version .*\ntini\t0\.19[^\n]*\n$", said), said
    again = build_image(*parts, "full", *HOST, "--no-cache", tag="again", network="host", SNAPSHOT=DAY, **given)
    digests = [registry.manifest(REPOSITORY, image.tag)[0] for image in (first, again)]
    if digests[0] != digests[1]:
        unlike = differences(*(files(registry, REPOSITORY, image.tag) for image in (first, again)))
        pytest.fail(f"Other digests, and other files: {unlike}")
    later = build_image(*parts, "system", *HOST, tag="later", network="host", SNAPSHOT=LATER, **given)
    assert "tini\t1.0" in later.run("dpkg-query -W tini")


def test_a_mirror_that_lacks_something_ends_the_build_with_its_name(
    mirror: Mirror, bare: str, modern_docker_engine: DockerEngine, registry: RegistryServer, image_context: Path
) -> None:
    given = {"BASE": bare, "TOOLS": "upstream", "TOOLS_MIRROR": mirror.address, "DEBIAN_MIRROR": mirror.address}
    parts = (modern_docker_engine, registry, image_context)
    unknown = "20251231T000000Z"
    failed = build_image(*parts, "system", *HOST, tag="none", network="host", ok=False, SNAPSHOT=unknown, **given)
    assert f"{mirror.address}/debian/{unknown}" in failed.said[-1]
    mirror.faults["helm-v"] = lost
    anew = ("--no-cache-filter", "tools-upstream")
    failed = build_image(*parts, "tools", *HOST, *anew, tag="none", network="host", ok=False, SNAPSHOT=DAY, **given)
    assert f"{mirror.address}/get.helm.sh/helm-v3.21.3-linux-amd64.tar.gz answers 404" in failed.said[-1]
    mirror.faults.clear()
    assert "none" not in registry.tags(REPOSITORY)


def test_packages_for_arm64_are_there(tmp_path: Path) -> None:
    """What the lock and the lists name, from PyPI and Debian as they are today."""
    pip = f"{sys.executable} {next((image_parts() / 'wheels').glob('pip-*.whl'))}/pip"
    wheels = tmp_path / "wheels"
    output(str(ROOT / "image/download-wheels"), str(wheels), "aarch64", PIP=pip)
    here = {name_of(wheel) for wheel in (image_parts() / "wheels").glob("*.whl")}
    assert {name_of(wheel) for wheel in wheels.iterdir()} == here
    assert not list(wheels.glob("*x86_64*"))
    listed = [line.name for variant in ("cluster", "full") for line in wanted(ROOT / f"image/packages-{variant}.txt")]
    options = lists_of("trixie", tmp_path, {"APT::Architecture": "arm64", "APT::Architectures": "arm64"})
    simulated = output("apt-get", *options, "--simulate", "--no-install-recommends", "install", *listed)
    chosen = dict(re.findall(r"(?m)^Inst (\S+) .*\[(\S+)\]\)", simulated))
    assert set(listed) <= set(chosen)
    assert set(chosen.values()) == {"arm64", "all"}


def name_of(wheel: Path) -> str:
    return "-".join(wheel.name.split("-")[:2])


def test_debian_and_the_wheels_for_arm64_run_it(modern_docker_engine: DockerEngine, tmp_path: Path) -> None:
    """In a container of that architecture, by emulation. The whole build would take a quarter of an hour."""
    if not emulated("arm64"):
        missing("emulation of arm64", "`CI_GITOPS_TEST_FULL=1 make parts` installs it, as root on Debian")
    for wheel in (image_parts("cluster-arm64") / "wheels-aarch64").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
    shutil.copytree(ROOT / "ci_gitops", tmp_path / "ci_gitops", ignore=shutil.ignore_patterns("__pycache__"))
    script = """set -eu
        uname -m
        python3 -P -m ci_gitops --version
        jsonnet -e '6 * 7'
        python3 -c 'import aiohttp, cryptography.fernet, nacl.bindings, pydantic_core, yaml._yaml'
        printf 'images:\\n- name: web\\n  newTag: "1"\\n' > /tmp/kustomization.yaml
        python3 -P -m ci_gitops set-image web:2 --path /tmp
        cat /tmp/kustomization.yaml
        """
    base = imported_base(modern_docker_engine, "cluster-arm64", "linux/arm64")
    said = modern_docker_engine.docker(
        "run", "--rm", "--platform", "linux/arm64", "--network", "none", "--volume", f"{tmp_path}:/opt/packages:ro",
        "--env", "PYTHONPATH=/opt/packages", "--env", "PYTHONDONTWRITEBYTECODE=1", base, "sh", "-c", script,
    )  # fmt: skip
    assert said.startswith(f"aarch64\nci-gitops {__version__}\n42\n")
    assert 'newTag: "2"' in said


def test_buildah_of_the_image_builds_the_same_as_its_user(
    images: Images, registry: RegistryServer, image_context: Path
) -> None:
    """Without root: the user's own users, chroot isolation and copies of layers."""
    full = images("full")
    image_context.chmod(0o755)
    words = shlex.join(arguments("localhost/base"))
    full.run(
        f"""set -eu
        printf 'FROM scratch\\nADD root.tar /\\n' > /tmp/base
        buildah build --quiet --file /tmp/base --tag base /base
        buildah build --quiet --target full {words} --tag {registry.host}/{REPOSITORY}:buildah /context
        buildah push --quiet --tls-verify=false {registry.host}/{REPOSITORY}:buildah
        """,
        "--security-opt", "seccomp=unconfined", "--volume", f"{image_context}:/context:ro",
        "--volume", f"{image_parts() / 'bases/full'}:/base:ro", network="host", timeout=1500,
    )  # fmt: skip
    assert registry.config(REPOSITORY, "buildah")["config"]["User"] == "1000:1000"
    unlike = differences(files(registry, REPOSITORY, full.tag), files(registry, REPOSITORY, "buildah"))
    # Devices, which the base of the tests has and a user cannot make.
    assert {path: both for path, both in unlike.items() if not path.startswith("dev/")} == {}
