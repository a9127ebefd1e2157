from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from ci_gitops.adapters.registry_login import Login, login_for
from ci_gitops.errors import CiGitopsError, RegistryError, UsageError

HOST = "registry.example.com:5050"


def config(folder: Path, **content: object) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))
    return {"DOCKER_CONFIG": str(folder), "PATH": "/usr/bin:/bin"}


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def helper(folder: Path, name: str, script: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_nobody_has_credentials() -> None:
    assert login_for(HOST, {}) is None


def test_the_order_of_sources(tmp_path: Path) -> None:
    """Flag, the pipeline's own variables, GitLab's, the job token, Docker's configuration."""
    environ = {
        **config(tmp_path, auths={HOST: auth("from-docker", "pw-docker")}),
        "DOCKER_REGISTRY_HOST": HOST, "DOCKER_REGISTRY_USER": "from-names", "DOCKER_REGISTRY_PWD": "pw-names",
        "CI_REGISTRY": HOST, "CI_REGISTRY_USER": "from-gitlab", "CI_REGISTRY_PASSWORD": "pw-gitlab",
        "CI_JOB_TOKEN": "pw-token",
    }  # fmt: skip
    (tmp_path / "password").write_text("pw-flag\n")
    given = login_for(HOST, environ, user="from-flag", password_file=tmp_path / "password")
    assert given
    assert (given.user, given.password) == ("from-flag", "pw-flag")

    def found() -> tuple[str, str]:
        login = login_for(HOST, environ)
        assert login
        return login.user, login.source

    assert found() == ("from-names", "DOCKER_REGISTRY_USER and DOCKER_REGISTRY_PWD")
    environ.pop("DOCKER_REGISTRY_PWD")
    assert found() == ("from-gitlab", "CI_REGISTRY_USER and CI_REGISTRY_PASSWORD")
    environ.pop("CI_REGISTRY_USER")
    assert found() == ("gitlab-ci-token", "CI_JOB_TOKEN")
    environ.pop("CI_JOB_TOKEN")
    assert found()[0] == "from-docker"


def test_variables_are_for_their_own_registry_alone() -> None:
    environ = {
        "CI_REGISTRY": "registry.gitlab.com", "CI_REGISTRY_USER": "u", "CI_REGISTRY_PASSWORD": "secret-pw",
        "CI_JOB_TOKEN": "secret-token", "DOCKER_REGISTRY_HOST": "other.example.com", "DOCKER_REGISTRY_USER": "u",
        "DOCKER_REGISTRY_PWD": "secret-pw",
    }  # fmt: skip
    assert login_for("registry.example.com", environ) is None


def test_docker_hub_has_many_names(tmp_path: Path) -> None:
    environ = config(tmp_path, auths={"https://index.docker.io/v1/": auth("alice", "rabbit-hole")})
    login = login_for("docker.io", environ)
    assert login
    assert (login.user, login.password) == ("alice", "rabbit-hole")


def test_a_configuration_in_a_variable() -> None:
    """As GitLab's runners take it."""
    text = json.dumps({"auths": {f"https://{HOST}/v2/": auth("alice", "rabbit:hole")}})
    login = login_for(HOST, {"DOCKER_AUTH_CONFIG": text})
    assert login
    assert login.password == "rabbit:hole"
    assert "DOCKER_AUTH_CONFIG" in login.source


@pytest.mark.parametrize("place", ["credHelpers", "credsStore"])
def test_a_credential_helper_is_asked(tmp_path: Path, place: str) -> None:
    """It gets the host on standard input, by the helpers' own protocol."""
    helper(
        tmp_path / "bin", "wonder", 'read host; echo "{\\"Username\\": \\"for $host\\", \\"Secret\\": \\"tea-party\\"}"'
    )
    environ = config(tmp_path, **{place: {HOST: "wonder"} if place == "credHelpers" else "wonder"})
    environ["PATH"] = f"{tmp_path}/bin:/usr/bin:/bin"
    login = login_for(HOST, environ)
    assert login
    assert (login.user, login.password) == (f"for {HOST}", "tea-party")
    assert "docker-credential-wonder" in login.source


def test_a_helper_that_knows_nothing_leaves_the_next_source(tmp_path: Path) -> None:
    helper(tmp_path / "bin", "empty", "echo credentials not found in native keychain; exit 1")
    environ = config(tmp_path, credsStore="empty", auths={HOST: auth("alice", "rabbit-hole")})
    environ["PATH"] = f"{tmp_path}/bin:/usr/bin:/bin"
    login = login_for(HOST, environ)
    assert login
    assert login.user == "alice"


def test_identity_tokens(tmp_path: Path) -> None:
    helper(tmp_path / "bin", "token", 'echo "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"refresh-me\\"}"')
    environ = config(tmp_path, credsStore="token")
    environ["PATH"] = f"{tmp_path}/bin:/usr/bin:/bin"
    login = login_for(HOST, environ)
    assert login
    assert login.identity_token == "refresh-me"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"credsStore": "absent"}, "docker-credential-absent"),
        ({"credsStore": "../evil"}, "not on PATH"),
        ({"credHelpers": ["no", "object"]}, "credHelpers"),
        ({"auths": {HOST: {"auth": "%%%"}}}, "base64"),
    ],
)
def test_broken_configurations_are_named(tmp_path: Path, content: dict[str, object], said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        login_for(HOST, config(tmp_path, **content))


def test_a_helper_that_fails_is_quoted_and_one_that_babbles_is_not(tmp_path: Path) -> None:
    helper(tmp_path / "bin", "locked", "echo the keychain is locked >&2; exit 1")
    helper(tmp_path / "bin", "babble", "echo 'my secret is jabberwocky'")
    for name, said in (("locked", "the keychain is locked"), ("babble", "not the JSON")):
        environ = config(tmp_path, credsStore=name)
        environ["PATH"] = f"{tmp_path}/bin:/usr/bin:/bin"
        with pytest.raises(RegistryError, match=said) as caught:
            login_for(HOST, environ)
        assert "jabberwocky" not in str(caught.value)


def test_half_a_login_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("")
    for arguments in ({"user": "alice"}, {"password": "lonely-password"}, {"password_file": tmp_path / "no"},
                      {"user": "alice", "password_file": tmp_path / "password"}):  # fmt: skip
        with pytest.raises(UsageError):
            login_for(HOST, {}, **arguments)


def test_no_secret_shows_in_a_record() -> None:
    login = Login(HOST, "a test", "alice", "rabbit-hole", "refresh")
    assert "rabbit-hole" not in repr(login)
    assert "refresh" not in repr(login)


def test_an_unreadable_configuration_is_an_error_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{not json")
    with pytest.raises(CiGitopsError, match="not JSON"):
        login_for(HOST, {"DOCKER_CONFIG": str(tmp_path)})
