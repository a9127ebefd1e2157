"""What an image must prove, against a real registry and the real cosign in both versions."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.errors import CiGitopsError, RefusedError, RegistryError, SettingsError, TemporaryError
from ci_gitops.output import Output
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.settings.environments import Previews
from ci_gitops.settings.resolve import preview_settings
from ci_gitops.steps.proof import Proof, prove
from tests.rig.cosign import VERSIONS, Signing
from tests.rig.registry import PASSWORD, USER, RegistryServer

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Texts:
    """The files of the branch that rules."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def holds(self, path: str) -> bool:
        return path in self._files

    def files(self) -> tuple[str, ...]:
        return tuple(self._files)

    def read(self, paths: Any) -> Mapping[str, str]:
        return {path: self._files[path] for path in paths if path in self._files}


class Demand:
    """An environment that wants images signed by robot's key."""

    def __init__(self, signing: Signing, version: str = "3", **environ: str) -> None:
        self.told = io.StringIO()
        self.run = Run({"PATH": signing.path(version), **environ}, output=Output(err=self.told))
        self.rules = Texts({"keys/robot.pub": signing.key("robot")})

    def __call__(self, *images: str, cosign: Mapping[str, Any] | None = None, **more: Any) -> tuple[Proof, ...]:
        wanted = {"key": "keys/robot.pub", "tlog": False} if cosign is None else cosign
        environment = EnvironmentSettings(name="production", verify={"cosign": dict(wanted)} if wanted else {})
        return prove(self.run, images, environment, rules=self.rules, **more)

    def refused(self, *images: str, by: type[CiGitopsError] = RefusedError, **more: Any) -> CiGitopsError:
        with pytest.raises(by) as caught:
            self(*images, **more)
        assert caught.value.hint
        return caught.value


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def image(registry: RegistryServer, repository: str) -> str:
    """An image of this test's own, by its digest."""
    name = repository.replace("[", "-").replace("]", "")
    return f"{registry.image(name)}@{registry.push(name, '1', {'test': name})}"


def _copy_signature(registry: RegistryServer, image: str, other: str) -> None:
    """Lay the signatures of one image beside another one, in either form."""
    name = image.partition("/")[2].partition("@")[0]
    for ending, media in ((".sig", _MANIFEST), ("", _INDEX)):
        one, two = (each.rpartition("@")[2].replace(":", "-") + ending for each in (image, other))
        status, _, body = registry.request("GET", f"/v2/{name}/manifests/{one}", {"Accept": media})
        if status == 200:
            assert registry.request("PUT", f"/v2/{name}/manifests/{two}", {"Content-Type": media}, body)[0] == 201


def test_a_good_signature_of_the_very_digest_is_taken(
    registry: RegistryServer, signing: Signing, image: str, version: str
) -> None:
    name, _, digest = image.partition("@")
    signing.sign(version, image, "robot")
    (proof,) = Demand(signing, version)(f"{name}:1")
    assert (str(proof.image), proof.signer) == (f"{name}:1@{digest}", "the key keys/robot.pub")


def test_cosign_3_reads_what_cosign_2_has_signed(signing: Signing, image: str) -> None:
    signing.sign("2", image, "robot")
    assert Demand(signing, "3")(image)[0].signer


def test_an_image_without_a_signature_is_refused(signing: Signing, image: str, version: str) -> None:
    error = Demand(signing, version).refused(image)
    assert f"{image} is not signed" in error.message
    assert "environments.production.verify.cosign wants" in error.message
    assert "cosign sign" in str(error.hint)


def test_somebody_else_s_signature_is_refused(signing: Signing, image: str, version: str) -> None:
    signing.sign(version, image, "mallory")
    error = Demand(signing, version).refused(image)
    assert "is signed, but not by the key keys/robot.pub" in error.message


def test_a_signature_that_was_moved_to_another_image_is_refused(
    registry: RegistryServer, signing: Signing, image: str, version: str
) -> None:
    signing.sign(version, image, "robot")
    name = image.partition("/")[2].partition("@")[0]
    other = f"{registry.image(name)}@{registry.push(name, 'evil', {'evil': version})}"
    _copy_signature(registry, image, other)
    error = Demand(signing, version).refused(other)
    assert "one of another image" in error.message


def test_of_several_images_the_bad_one_decides_and_each_is_told(
    registry: RegistryServer, signing: Signing, image: str
) -> None:
    demand = Demand(signing)
    signing.sign("3", image, "robot")
    missing = f"{registry.image('test/nowhere')}:7"
    name = image.partition("/")[2].partition("@")[0]
    unsigned = f"{registry.image(name)}@{registry.push(name, '2', {'other': 'yes'})}"
    error = demand.refused(image, unsigned, missing)
    assert "is not signed" in error.message
    assert f"There is no image {missing}" in demand.told.getvalue()


def test_without_a_wish_for_signatures_an_image_must_only_be_there(
    registry: RegistryServer, signing: Signing, image: str
) -> None:
    demand = Demand(signing)
    (proof,) = demand(image, cosign={}, platforms=["linux/amd64"])
    assert (proof.signer, proof.platforms) == (None, ("linux/amd64",))
    error = demand.refused(image, cosign={}, platforms=["linux/amd64", "linux/arm64"])
    assert "is not there for linux/arm64" in error.message
    gone = f"{registry.image('test/nowhere')}@sha256:{'0' * 64}"
    assert f"There is no image {gone}" in demand.refused(gone, cosign={}).message
    assert demand(cosign={}) == ()


def test_a_registry_that_is_away_is_no_refusal(signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ci_gitops.adapters.registry_http.persist", lambda call, **_: call())
    with pytest.raises(TemporaryError, match="cannot be reached"):
        Demand(signing)("127.0.0.1:9/web:1", cosign={})


def test_cosign_gets_the_login_and_the_key_privately_and_little_else(
    guarded_registry: RegistryServer, signing: Signing, tmp_path: Path
) -> None:
    digest = guarded_registry.push("test/guarded", "1")
    image = f"{guarded_registry.image('test/guarded')}@{digest}"
    signing.sign("3", image, "robot", f"--registry-username={USER}", f"--registry-password={PASSWORD}")
    login = {"DOCKER_REGISTRY_HOST": guarded_registry.host, "DOCKER_REGISTRY_USER": USER,
             "DOCKER_REGISTRY_PWD": PASSWORD}  # fmt: skip
    assert Demand(signing, **login)(image)[0].signer
    with pytest.raises(RegistryError, match="wants a login"):
        Demand(signing)(image)
    _spy(tmp_path)
    demand = Demand(signing, **login, CI_JOB_TOKEN="other-secret", AWS_SECRET_ACCESS_KEY="cloud-secret",
                    SIGSTORE_ROOT_FILE="/roots.json", https_proxy="http://proxy.example.com")  # fmt: skip
    demand.run.environ = {**demand.run.environ, "PATH": f"{tmp_path}:{demand.run.environ['PATH']}"}
    assert "it said nothing" in demand.refused(image).message
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert "other-secret" not in str(seen)
    assert "cloud-secret" not in str(seen)
    assert PASSWORD not in str(seen["argv"])
    assert seen["env"]["SIGSTORE_ROOT_FILE"] == "/roots.json"
    assert seen["env"]["https_proxy"] == "http://proxy.example.com"
    assert seen["modes"] == {"config.json": 0o600, "key.pub": 0o600}
    assert not Path(seen["env"]["DOCKER_CONFIG"]).exists()
    assert seen["argv"][-2:] == ["--", image]


def _spy(folder: Path) -> None:
    """A `cosign` that says yes without having looked, and writes down what it was given."""
    spy = folder / "cosign"
    spy.write_text(
        "#!/usr/bin/env python3\nimport json, os, pathlib, stat, sys\n"
        "config = pathlib.Path(os.environ['DOCKER_CONFIG'])\n"
        "modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in config.iterdir()}\n"
        f"json.dump({{'argv': sys.argv, 'env': dict(os.environ), 'modes': modes}}, open({str(folder / 'seen.json')!r},"
        " 'w'))\n"
    )
    spy.chmod(spy.stat().st_mode | stat.S_IXUSR)


def test_a_registry_with_an_authority_of_its_own(
    tls_registry: RegistryServer, signing: Signing, certificates: Any, version: str
) -> None:
    name = f"test/authority-{version}"
    image = f"{tls_registry.image(name)}@{tls_registry.push(name, '1', {'by': version})}"
    signing.sign(version, image, "robot", "--allow-insecure-registry", f"--registry-username={USER}",
                 f"--registry-password={PASSWORD}")  # fmt: skip
    login = {"DOCKER_REGISTRY_HOST": tls_registry.host, "DOCKER_REGISTRY_USER": USER, "DOCKER_REGISTRY_PWD": PASSWORD}
    assert Demand(signing, version, **login)(image, ca_file=certificates.authority)[0].signer
    with pytest.raises(RegistryError, match="authority"):
        Demand(signing, version, **login)(image)


def test_a_log_that_cannot_be_reached_is_no_refusal(signing: Signing, image: str, version: str, tmp_path: Path) -> None:
    signing.sign(version, image, "robot")
    nowhere = {"HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    error = Demand(signing, version, **nowhere).refused(image, cosign={"key": "keys/robot.pub"}, by=TemporaryError)
    assert "transparency log" in error.message
    assert "environments.production.verify.cosign.tlog: false" in str(error.hint)
    issuer = {"identity": "https://gitlab.example.com/shop/*", "issuer": "https://gitlab.example.com"}
    Demand(signing, version, **nowhere).refused(image, cosign=issuer, by=TemporaryError)


def test_keys_that_are_none(signing: Signing, image: str, tmp_path: Path) -> None:
    demand = Demand(signing, ROBOT=signing.key("robot"))
    for key, words in (("keys/gone.pub", "no such file on the branch"), ("env://GONE", "GONE is not set")):
        assert words in demand.refused(image, cosign={"key": key}, by=SettingsError).message
    demand.rules = Texts({"keys/robot.pub": "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"})
    assert "holds no public key" in demand.refused(image, by=SettingsError).message
    demand.rules = Texts({"keys/robot.pub": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"})
    assert "cannot be used" in demand.refused(image, by=SettingsError).message
    signing.sign("3", image, "robot")
    assert demand(image, cosign={"key": "env://ROBOT", "tlog": False})[0].signer == "the key env://ROBOT"
    demand.run.environ = {"PATH": str(tmp_path)}
    error = demand.refused(image, cosign={"key": "awskms:///alias/robot"}, by=CiGitopsError)
    assert "the program cosign is not here" in error.message


def test_a_preview_s_setting_is_named_where_it_stands() -> None:
    verify = {"cosign": {"key": "robot.pub", "tlog": False}}
    preview = preview_settings(Previews.model_validate({"verify": verify}), "preview-x")
    rules = Texts({"robot.pub": "-----BEGIN PUBLIC KEY-----"})
    with pytest.raises(CiGitopsError, match=r"^previews\.verify\.cosign wants signatures, and the program cosign"):
        prove(Run({"PATH": ""}), ["localhost:1/web:1"], preview, rules=rules)
    with pytest.raises(SettingsError, match=r"^previews\.verify\.cosign\.key is robot\.pub, and there is no such file"):
        prove(Run({"PATH": ""}), ["localhost:1/web:1"], preview, rules=Texts({}))
