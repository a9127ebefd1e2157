"""The registry client against real registries: plain, with passwords, with tokens, with certificates."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.patience import AwayError
from ci_gitops.adapters.registry import Registry
from ci_gitops.adapters.registry_http import RegistryHttp
from ci_gitops.adapters.registry_login import Login
from ci_gitops.core.images import ImageRef
from ci_gitops.errors import RegistryError
from tests.rig.registry import PASSWORD, USER, Certificates, RegistryServer, running_registry
from tests.rig.token_server import IDENTITY_TOKEN, TokenServer, registry_with_tokens


def client(server: RegistryServer, login: Login | None = None, **settings: Any) -> Registry:
    return Registry(RegistryHttp(server.host, login, wait=lambda _: None, **settings))


def ref(server: RegistryServer, rest: str) -> ImageRef:
    return ImageRef.parse(f"{server.host}/{rest}")


@pytest.fixture
def login(guarded_registry: RegistryServer) -> Login:
    return Login(guarded_registry.host, "the test", USER, PASSWORD)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RegistryServer, TokenServer]]:
    with registry_with_tokens(tmp_path_factory.mktemp("tokens")) as started:
        yield started


def test_the_digest_behind_a_tag(registry: RegistryServer, repository: str) -> None:
    digest = registry.push(repository, "1.0")
    found = client(registry).head(ref(registry, f"{repository}:1.0"))
    assert found
    assert found.digest == digest
    assert client(registry).head(ref(registry, f"{repository}@{digest}"))
    assert client(registry).head(ref(registry, f"{repository}:2.0")) is None
    assert client(registry).head(ref(registry, f"{repository}-of-nobody:1.0")) is None


def test_every_tag_over_several_pages(registry: RegistryServer, repository: str) -> None:
    for number in range(7):
        registry.push(repository, f"1.{number}")
    asked = client(registry)
    pages = list(asked._tag_pages(repository, page=3))
    assert sorted(pages) == sorted(asked.tags(repository)) == [f"1.{number}" for number in range(7)]
    assert asked.tags("nobody/has/this") == []


def test_labels_and_platform(registry: RegistryServer, repository: str) -> None:
    digest = registry.push(repository, "1", {"team": "wonderland"})
    config = client(registry).config(ref(registry, f"{repository}:1"))
    assert config
    assert (config.digest, config.labels, config.platforms) == (digest, {"team": "wonderland"}, ("linux/amd64",))
    assert client(registry).config(ref(registry, f"{repository}:2")) is None


def test_a_password(guarded_registry: RegistryServer, repository: str, login: Login) -> None:
    digest = guarded_registry.push(repository, "1")
    found = client(guarded_registry, login).head(ref(guarded_registry, f"{repository}:1"))
    assert found
    assert found.digest == digest


def test_a_refused_password_says_where_it_came_from(guarded_registry: RegistryServer, repository: str) -> None:
    wrong = Login(guarded_registry.host, "CI_REGISTRY_USER and CI_REGISTRY_PASSWORD", "mallory", "not-the-password")
    with pytest.raises(RegistryError, match=r"refused the login as mallory from CI_REGISTRY_USER and") as caught:
        client(guarded_registry, wrong).head(ref(guarded_registry, f"{repository}:1"))
    assert "not-the-password" not in str(caught.value)
    with pytest.raises(RegistryError, match="none was found"):
        client(guarded_registry).check_login(repository)


def test_tokens(tokens: tuple[RegistryServer, TokenServer], repository: str) -> None:
    """User and password go to the token server, its token to the registry, each for its own repository."""
    server, issuer = tokens
    asked = client(server, Login(server.host, "the test", USER, PASSWORD))
    asked.check_login(repository)
    assert issuer.asked[-1] == f"repository:{repository}:pull,push"
    assert asked.head(ref(server, f"{repository}:1")) is None
    assert issuer.asked[-1] == f"repository:{repository}:pull"
    before = len(issuer.asked)
    assert asked.tags(repository) == []
    assert len(issuer.asked) == before  # the same scope, the same token


def test_a_token_that_ran_out_is_renewed(tokens: tuple[RegistryServer, TokenServer], repository: str) -> None:
    """As it does while a long build runs."""
    server, issuer = tokens
    asked = client(server, Login(server.host, "the test", USER, PASSWORD))
    issuer.lifetime = -120  # the registry allows a minute of difference between clocks
    try:
        with pytest.raises(RegistryError):
            asked.head(ref(server, f"{repository}:1"))
    finally:
        issuer.lifetime = 300
    assert asked.head(ref(server, f"{repository}:1")) is None


def test_an_identity_token_is_exchanged(tokens: tuple[RegistryServer, TokenServer], repository: str) -> None:
    server, _ = tokens
    good = Login(server.host, "a credential helper", identity_token=IDENTITY_TOKEN)
    assert client(server, good).head(ref(server, f"{repository}:1")) is None
    bad = Login(server.host, "a credential helper", identity_token="forged-token")
    with pytest.raises(RegistryError, match=r"a credential helper.*unknown identity token"):
        client(server, bad).head(ref(server, f"{repository}:1"))


def test_without_login_a_token_for_what_is_public(tokens: tuple[RegistryServer, TokenServer]) -> None:
    server, _ = tokens
    assert client(server).head(ref(server, "public/web:1")) is None
    with pytest.raises(RegistryError, match="none was found"):
        client(server).head(ref(server, "private/web:1"))


def test_a_certificate_of_an_own_authority(
    tls_registry: RegistryServer, certificates: Certificates, repository: str
) -> None:
    login = Login(tls_registry.host, "the test", USER, PASSWORD)
    asked = ref(tls_registry, f"{repository}:1")
    with pytest.raises(RegistryError, match="not known here") as caught:
        client(tls_registry, login).head(asked)
    assert "--ca-file" in (caught.value.hint or "")
    assert client(tls_registry, login, ca_file=certificates.authority).head(asked) is None
    assert client(tls_registry, login, insecure=True).head(asked) is None


def test_an_expired_certificate_and_one_for_another_name(
    tmp_path: Path, own_address: str, certificates: Certificates
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    past = {"not_before": now - datetime.timedelta(days=2), "not_after": now - datetime.timedelta(days=1)}
    for name, address, settings, said in (
        ("expired", own_address, past, "has expired"),
        ("other", "registry.example.com", {}, "another name"),
    ):
        pair = certificates.issue(address, name, **settings)
        with (
            running_registry(tmp_path / name, address=own_address, tls=pair) as server,
            pytest.raises(RegistryError, match=said),
        ):
            client(server, ca_file=certificates.authority).tags("web")


def test_plain_http_is_for_the_loopback_or_by_request(tmp_path: Path, own_address: str) -> None:
    with running_registry(tmp_path, address=own_address) as server:
        with pytest.raises(RegistryError, match="does not speak TLS") as caught:
            client(server).tags("web")
        assert "--insecure-registry" in (caught.value.hint or "")
        assert client(server, insecure=True).tags("web") == []


def test_a_registry_that_is_away_is_tried_three_times(tmp_path: Path) -> None:
    told: list[str] = []
    waited: list[float] = []
    with running_registry(tmp_path) as server:
        pass
    asked = Registry(RegistryHttp(server.host, tell=told.append, wait=waited.append))
    with pytest.raises(AwayError, match=r"cannot be reached: Failed to establish") as caught:
        asked.tags("web")
    assert caught.value.exit_code == 75
    assert waited == [1.0, 4.0]
    assert "Try 2 of 3" in told[-1]
