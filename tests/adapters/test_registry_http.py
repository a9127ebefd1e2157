"""What the registry client does with servers that are ill, strange or hostile."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from ci_gitops.adapters import registry_http
from ci_gitops.adapters.patience import AwayError
from ci_gitops.adapters.registry import Registry
from ci_gitops.adapters.registry_http import RegistryHttp
from ci_gitops.adapters.registry_login import Login
from ci_gitops.adapters.time_limit import TimeLimit
from ci_gitops.core.images import ImageRef
from ci_gitops.errors import CiGitopsError, RegistryError
from tests.fakes.web import Asked, Reply, Web, scripted_web

DIGEST = f"sha256:{'a' * 64}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def client(web: Web, login: bool = True, **settings: Any) -> Registry:
    who = Login(web.host, "the test", "alice", "rabbit-hole") if login else None
    return Registry(RegistryHttp(web.host, who, wait=settings.pop("wait", lambda _: None), **settings))


def ref(web: Web, rest: str = "shop/web:1") -> ImageRef:
    return ImageRef.parse(f"{web.host}/{rest}")


def always(*replies: Reply) -> Callable[[Asked], Reply]:
    """The replies one after the other, the last one for ever."""
    left = list(replies)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


def found(asked: Asked) -> Reply:
    return Reply(200, {"Docker-Content-Digest": DIGEST, "Content-Type": MANIFEST})


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_trouble_that_passes_is_waited_for(status: int) -> None:
    waited: list[float] = []
    with scripted_web(always(Reply(status), Reply(status, {"Retry-After": "7"}), found(Asked("", "", {})))) as web:
        descriptor = client(web, wait=waited.append).head(ref(web))
    assert descriptor
    assert descriptor.digest == DIGEST
    assert waited == [1.0, 7.0]


@pytest.mark.parametrize("wanted", ["61", "3600", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_server_that_asks_for_more_than_a_minute_is_not_waited_for(wanted: str) -> None:
    waited: list[float] = []
    with scripted_web(always(Reply(429, {"Retry-After": wanted}))) as web:
        with pytest.raises(AwayError) as caught:
            client(web, wait=waited.append).head(ref(web))
        assert caught.value.exit_code == 75
        assert waited == []


def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr(registry_http, "SECONDS", 0.2)
    release = threading.Event()

    def hang(asked: Asked) -> Reply:
        release.wait(10)
        return Reply()

    with scripted_web(hang) as web:
        with pytest.raises(AwayError, match="cannot be reached"):
            client(web).head(ref(web))
        release.set()


def test_a_token_server_elsewhere_gets_no_credentials() -> None:
    """A registry that is not ours to trust further than itself could name any host."""
    challenge = {"WWW-Authenticate": 'Bearer realm="https://tokens.example.net/auth",service="x"'}
    with scripted_web(always(Reply(401, challenge))) as web, pytest.raises(RegistryError, match="were not sent"):
        client(web).head(ref(web))


def test_blob_stores_get_no_credentials() -> None:
    """A redirect to another host goes there bare."""
    config = json.dumps({"os": "linux", "architecture": "arm64", "config": {"Labels": {"a": "b"}}}).encode()
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    manifest = json.dumps({"config": {"digest": digest}}).encode()
    with scripted_web(always(Reply(200, {}, config))) as store:

        def registry(asked: Asked) -> Reply:
            if "Authorization" not in asked.headers:
                return Reply(401, {"WWW-Authenticate": "Basic realm=registry"})
            if "/blobs/" in asked.path:
                return Reply(307, {"Location": f"http://{store.host}/{digest}"})
            return Reply(200, {"Content-Type": MANIFEST}, manifest)

        with scripted_web(registry) as web:
            image = client(web).config(ref(web))
        assert image
        assert (image.labels, image.platforms) == ({"a": "b"}, ("linux/arm64",))
        assert "Authorization" not in store.asked[0].headers


def test_redirects_have_an_end() -> None:
    again = always(Reply(307, {"Location": "/v2/again"}))
    with scripted_web(again) as web, pytest.raises(RegistryError, match="sent us on"):
        client(web).head(ref(web))


def test_a_missing_digest_header_is_made_up_for() -> None:
    body = b'{"schemaVersion": 2}'
    with scripted_web(always(Reply(200, {"Content-Type": MANIFEST}, body))) as web:
        descriptor = client(web).head(ref(web))
    assert descriptor
    assert descriptor.digest == f"sha256:{hashlib.sha256(body).hexdigest()}"


def test_a_list_of_tags_is_not_followed_to_another_host() -> None:
    page = Reply(200, {"Link": '<https://elsewhere.example.net/v2/x>; rel="next"'}, b'{"tags": ["1"]}')
    with scripted_web(always(page)) as web, pytest.raises(RegistryError, match="not followed"):
        client(web).tags("shop/web")


def test_a_list_of_tags_has_an_end() -> None:
    pages = itertools.count()

    def following(asked: Asked) -> Reply:
        link = f'</v2/shop/web/tags/list?last={next(pages)}>; rel="next"'
        return Reply(200, {"Link": link}, b'{"tags": ["1"]}')

    with scripted_web(following) as web, pytest.raises(RegistryError, match="more than 200 pages"):
        client(web).tags("shop/web")
    circle = Reply(200, {"Link": '</v2/shop/web/tags/list?again>; rel="next"'}, b'{"tags": ["1"]}')
    with scripted_web(always(circle)) as web, pytest.raises(RegistryError, match="in a circle"):
        client(web).tags("shop/web")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(200, {"Content-Type": MANIFEST}, b"x" * 5_000_000), "more than"),
        (Reply(200, {"Content-Type": MANIFEST}, b"<html>"), "JSON"),
        (Reply(200, {"Content-Type": MANIFEST}, b"[]"), "JSON list"),
        (Reply(200, {"Content-Type": MANIFEST}, b"{}"), "names no configuration"),
        (Reply(400, {}, b'{"errors": [{"message": "bad name"}]}'), "400 .bad name"),
        (Reply(418, {}, b'{"errors": "odd"}'), "418"),
        (Reply(403, {}, b'{"errors": [{"code": "DENIED"}]}'), "refused the login as alice from the test: 403 .DENIED"),
    ],
)
def test_nonsense_is_an_error_that_says_so(reply: Reply, said: str) -> None:
    with scripted_web(always(reply)) as web, pytest.raises(CiGitopsError, match=said):
        client(web).config(ref(web))


def test_attestations_are_no_platforms() -> None:
    index = {
        "manifests": [
            {"digest": DIGEST, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
            {"digest": DIGEST, "platform": {"os": "unknown", "architecture": "unknown"}},
        ]
    }
    body = json.dumps(index).encode()

    def registry(asked: Asked) -> Reply:
        if asked.path.endswith("/1"):
            return Reply(200, {"Content-Type": "application/vnd.oci.image.index.v1+json"}, body)
        return Reply(404)

    with scripted_web(registry) as web:
        image = client(web).config(ref(web))
    assert image
    assert image.platforms == ("linux/arm/v7",)


def test_what_is_asked_for_by_its_digest_has_it() -> None:
    """A registry, or who sits before it, lays another image's manifest or configuration under the digest."""
    child = json.dumps({"config": {"digest": DIGEST}}).encode()
    true = f"sha256:{hashlib.sha256(child).hexdigest()}"
    platform = {"os": "linux", "architecture": "amd64"}
    index = "application/vnd.oci.image.index.v1+json"

    def answers(asked: Asked, digest: str) -> Reply:
        if asked.path.endswith("/1"):
            listed = {"manifests": [{"digest": digest, "platform": platform}]}
            return Reply(200, {"Content-Type": index}, json.dumps(listed).encode())
        return Reply(200, {"Content-Type": MANIFEST}, child if "/manifests/" in asked.path else b"{}")

    for digest in (DIGEST, true):  # another manifest; the right one with another configuration
        with scripted_web(lambda asked, named=digest: answers(asked, named)) as web:
            for ask in (
                lambda: client(web).config(ref(web)),
                lambda: client(web).facts(ref(web), times=True, platforms=True),
                lambda: client(web).config(ref(web, f"shop/web@{DIGEST}")),
            ):
                with pytest.raises(RegistryError, match=rf"something else than {DIGEST} of shop/web"):
                    ask()
            assert client(web).facts(ref(web, f"shop/web@{true}"), times=False, platforms=False)
    with scripted_web(always(found(Asked("", "", {})))) as web, pytest.raises(RegistryError, match="something else"):
        client(web).head(ref(web, f"shop/web@sha256:{'b' * 64}"))


def test_a_proxy_is_asked_where_the_environment_names_one() -> None:
    with scripted_web(found) as proxy:
        environ = {"http_proxy": f"http://{proxy.host}", "NO_PROXY": "internal.example.com,.corp"}
        http = RegistryHttp("registry.example.com", environ=environ)
        with TimeLimit(5):
            assert http._send("GET", "http://registry.example.com/v2/", {}, 100).status == 200
        assert proxy.asked[0].path == "http://registry.example.com/v2/"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"manifests": 5}',
        b'{"manifests": [7, {"platform": {"os": "linux"}}]}',
        b'{"config": "text"}',
        b'{"tags": 5, "errors": [1]}',
        b'{"tags": [5, null]}',
    ],
    ids=lambda body: body[:24].decode(),
)
@pytest.mark.parametrize("kind", [MANIFEST, "application/vnd.oci.image.index.v1+json"])
def test_documents_of_another_shape_are_the_registry_s_fault_and_no_bug(body: bytes, kind: str) -> None:
    with scripted_web(always(Reply(200, {"Content-Type": kind}, body))) as web:
        for ask in (
            lambda: client(web).config(ref(web)),
            lambda: client(web).facts(ref(web), times=True, platforms=True),
            lambda: client(web).tags("shop/web"),
        ):
            try:
                assert not ask() or kind != MANIFEST
            except RegistryError:
                continue


@pytest.mark.parametrize("location", ["https://[", "https://example.com:port/"])
def test_what_is_no_address_is_not_followed(location: str) -> None:
    for reply in (
        Reply(307, {"Location": location}),
        Reply(401, {"WWW-Authenticate": f'Bearer realm="{location}",service="x"'}),
        Reply(200, {"Link": f'<{location}>; rel="next"'}, b'{"tags": []}'),
    ):
        with scripted_web(always(reply)) as web, pytest.raises(RegistryError):
            client(web, login=False).tags("shop/web")
