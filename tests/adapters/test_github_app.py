"""Whose token is sent to GitHub: an App's, made with its key, or the workflow's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ci_gitops import masking
from ci_gitops.adapters.git import GitAccess
from ci_gitops.adapters.git_access import access_for
from ci_gitops.errors import CiGitopsError
from tests.fakes.github import FakeGitHub
from tests.rig.git_server import GitServer

APP, KEY = "CI_GITOPS_GITHUB_APP_ID", "CI_GITOPS_GITHUB_APP_KEY"

NO_KEY = "-----BEGIN RSA PRIVATE KEY-----\nnone\n-----END RSA PRIVATE KEY-----"


def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def fake(git_server: GitServer, key: rsa.RSAPrivateKey) -> FakeGitHub:
    git_server.create("octo/config", {"a": b"1\n"})
    fake = FakeGitHub(git_server, "octo/config")
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    fake.app = ("5", public.decode())
    return fake


def opened(fake: FakeGitHub, **environ: str) -> GitAccess:
    return access_for(fake.git.url("octo/config"), environ)


def test_an_app_s_key_becomes_a_token_for_the_one_repository(fake: FakeGitHub, key: rsa.RSAPrivateKey) -> None:
    access = opened(fake, **{APP: "5", KEY: pem(key).replace("\n", "\r\n")})
    assert (access.user, access.token, access.source) == ("x-access-token", "ghs_promoter[bot]", KEY)
    assert access.api_token == access.token
    assert fake.breaches == []
    proof = fake.calls[0].headers["authorization"].removeprefix("Bearer ")
    assert masking.mask(f"{access.token} {proof}") == "[masked] [masked]"


def test_the_key_may_be_a_file_and_a_token_comes_first(
    fake: FakeGitHub, key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    file = tmp_path / "app.pem"
    file.write_text(pem(key))
    assert opened(fake, **{APP: "5", KEY: str(file)}).source == KEY
    assert opened(fake, **{APP: "5", KEY: str(file), "CI_GITOPS_TOKEN": "ghp_given"}).source == "CI_GITOPS_TOKEN"


@pytest.mark.parametrize(
    ("identity", "text", "code", "message", "hint"),
    [
        ("6", None, 5, "answered 401", "the private key of the App that"),
        ("5", NO_KEY, 2, "holds no private key", ".pem"),
        ("5", "", 2, f"{KEY} is missing", "needs both"),
        ("", None, 2, f"{APP} is missing", "needs both"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_app_is_named(
    fake: FakeGitHub, key: rsa.RSAPrivateKey, identity: str, text: str | None, code: int, message: str, hint: str
) -> None:
    with pytest.raises(CiGitopsError, match=message) as caught:
        opened(fake, **{APP: identity, KEY: pem(key) if text is None else text})
    assert caught.value.exit_code == code
    assert hint in (caught.value.hint or "")


def test_an_app_that_is_not_installed_there_is_told_how(fake: FakeGitHub, key: rsa.RSAPrivateKey) -> None:
    fake.name = "octo/other"
    with pytest.raises(CiGitopsError, match="is not on octo/config") as caught:
        opened(fake, **{APP: "5", KEY: pem(key)})
    assert "Repository access" in (caught.value.hint or "")


def test_a_workflow_s_token_goes_to_its_own_server_only(fake: FakeGitHub) -> None:
    workflow = {"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "ghs_workflow"}
    access = opened(fake, GITHUB_SERVER_URL=fake.git.base, **workflow)
    assert (access.user, access.token, access.source) == ("x-access-token", "ghs_workflow", "GITHUB_TOKEN")
    assert opened(fake, GITHUB_SERVER_URL="https://github.com", **workflow).token is None
    assert opened(fake, GITHUB_TOKEN="ghs_workflow", GITHUB_SERVER_URL=fake.git.base).token is None
