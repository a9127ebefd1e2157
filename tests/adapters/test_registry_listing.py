"""Lists of tags and what is asked of few images: by how many requests, and safe against what servers make up."""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from ci_gitops.adapters.chart_index import chart_versions, login_at
from ci_gitops.adapters.kept_answers import KeptAnswers
from ci_gitops.adapters.patience import AwayError
from ci_gitops.adapters.registry import Registry
from ci_gitops.adapters.registry_http import RegistryHttp
from ci_gitops.adapters.registry_login import Login
from ci_gitops.core.images import ImageRef
from ci_gitops.core.scanning import Facts, Policy, choose, rank
from ci_gitops.errors import RegistryError
from tests.fakes.web import Asked, Reply, Web, scripted_web
from tests.rig.registry import PASSWORD, USER, RegistryServer
from tests.rig.token_server import registry_with_tokens

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CREATED = "org.opencontainers.image.created"


def many_tags(server: RegistryServer, repository: str, names: list[str]) -> None:
    """Tags of one image that was pushed, written as the registry keeps them: a push for each takes long."""
    folder = server.folder / "images/docker/registry/v2/repositories" / repository / "_manifests/tags"
    (first,) = folder.iterdir()
    for name in names:
        if name != first.name:
            shutil.copytree(first, folder / name)


def answered(log: str) -> int:
    return log.count("response completed")


def kept(home: Path) -> KeptAnswers:
    found = KeptAnswers.open({"HOME": str(home)})
    assert found
    return found


def client(web: Web, keeping: KeptAnswers | None = None, login: Login | None = None) -> Registry:
    return Registry(RegistryHttp(web.host, login, wait=lambda _: None), keeping)


def test_the_newest_of_a_thousand_by_few_requests(tmp_path: Path) -> None:
    """With tokens, from the first question to the digest that is written; five of them for the next round."""
    names = [f"1.{number}.0" for number in range(1000)]
    with registry_with_tokens(tmp_path / "registry") as (server, tokens):
        login = Login(server.host, "the test", USER, PASSWORD)
        _push(server, tokens.token("repository:shop/web:pull,push"), "shop/web", "1.0.0")
        many_tags(server, "shop/web", names)
        before = answered(server.log)
        for kind in ("semver", "alphabetical", "digest"):
            registry = Registry(RegistryHttp(server.host, login), kept(tmp_path / "home"))
            policy = Policy(kind, platforms=("linux/amd64",))  # type: ignore[arg-type]

            def look(tag: str, registry: Registry = registry) -> Facts | None:
                ref = ImageRef(f"{server.host}/shop/web", tag)
                return registry.facts(ref, times=False, platforms=True)

            if kind == "digest":
                found = look("1.0.0")
                assert found
            else:
                ranking = rank(policy, "1.5.0", registry.tags("shop/web"))
                choice = choose(policy, ranking, look, lambda tag, facts: None, 0, 20)
                assert choice.version == "1.999.0"
                assert choice.facts.platforms == ("linux/amd64",)
            assert answered(server.log) - before <= 15, server.log
            before = answered(server.log)


def _push(server: RegistryServer, token: str, repository: str, tag: str) -> None:
    base, config = f"http://{server.host}", b'{"os": "linux", "architecture": "amd64"}'

    def send(method: str, url: str, data: bytes, kind: str) -> str:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        request = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.headers.get("Location", ""))

    digest = _digest(config)
    place = send("POST", f"{base}/v2/{repository}/blobs/uploads/", b"", "application/octet-stream")
    send("PUT", f"{place}&digest={digest}", config, "application/octet-stream")
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}
    send("PUT", f"{base}/v2/{repository}/manifests/{tag}", json.dumps(manifest).encode(), MANIFEST)


def pages_of(names: list[str], size: int, *, etag: bool = False) -> Callable[[Asked], Reply]:
    """A registry that gives as many tags at a time as it likes, whatever it is asked for."""

    def answer(asked: Asked) -> Reply:
        if "Authorization" not in asked.headers:
            return Reply(401, {"WWW-Authenticate": 'Basic realm="r"'})
        last = asked.path.partition("last=")[2]
        begin = names.index(last) + 1 if last else 0
        some = names[begin : begin + size]
        headers = {"ETag": f'"{begin}-{len(names)}"'} if etag else {}
        if etag and asked.headers.get("If-None-Match") == headers["ETag"]:
            return Reply(304, headers)
        if begin + size < len(names):
            headers["Link"] = f'</v2/shop/web/tags/list?n={size}&last={some[-1]}>; rel="next"'
        return Reply(200, headers, json.dumps({"tags": some}).encode())

    return answer


def test_pages_of_a_hundred_are_few_requests_too() -> None:
    names = [f"1.{number}.0" for number in range(1000)]
    with scripted_web(pages_of(names, 100)) as web:
        found = client(web, login=Login(web.host, "the test", USER, PASSWORD)).tags("shop/web")
        assert found == names
        assert len(web.asked) <= 13


def test_what_has_not_changed_is_not_sent_again(tmp_path: Path) -> None:
    names = [f"1.{number}.0" for number in range(250)]
    with scripted_web(pages_of(names, 100, etag=True)) as web:
        login = Login(web.host, "the test", USER, PASSWORD)
        assert client(web, kept(tmp_path), login).tags("shop/web") == names
        first = len(web.asked)
        assert client(web, kept(tmp_path), login).tags("shop/web") == names
        again = [asked for asked in web.asked[first:] if "Authorization" in asked.headers]
        assert [bool(asked.headers.get("If-None-Match")) for asked in again] == [True] * 3
        names.append("2.0.0")
        assert client(web, kept(tmp_path), login).tags("shop/web")[-1] == "2.0.0"


def test_what_is_kept_is_what_we_wrote(tmp_path: Path) -> None:
    """Nothing that another has written into the folder is believed, and what was kept is small and private."""
    with scripted_web(pages_of(["1"], 10, etag=True)) as web:
        login = Login(web.host, "the test", USER, PASSWORD)
        assert client(web, kept(tmp_path), login).tags("shop/web") == ["1"]
        (entry,) = (tmp_path / ".cache/ci-gitops/registries").iterdir()
        assert entry.stat().st_mode & 0o777 == 0o600
        assert PASSWORD.encode() not in entry.read_bytes()
        entry.write_bytes(entry.read_bytes().replace(b'"tags":["1"]', b'"tags":["6"]'))
        assert client(web, kept(tmp_path), login).tags("shop/web") == ["1"]


def test_names_that_are_no_tags_are_dropped() -> None:
    made_up = ["1.0", "../../secrets", "a b", "x" * 200, "\u001b[31mred", "", 7, None, "ok_1"]
    with scripted_web(lambda asked: Reply(200, {}, json.dumps({"tags": made_up}).encode())) as web:
        assert client(web).tags("shop/web") == ["1.0", "ok_1"]


@pytest.mark.parametrize(
    "link", ["http://127.0.0.1:1/v2/x", "//elsewhere.example.net/v2/x", "https://elsewhere.example.net/"]
)
def test_a_list_goes_on_at_the_same_host_only(link: str) -> None:
    with (
        scripted_web(lambda asked: Reply(200, {"Link": f'<{link}>; rel="next"'}, b'{"tags": ["1"]}')) as web,
        pytest.raises(RegistryError, match="not followed"),
    ):
        client(web, login=Login(web.host, "the test", USER, PASSWORD)).tags("shop/web")


@pytest.mark.parametrize("etag", ['"a" b"', "W/", "x" * 300, '"' + "y" * 300 + '"', "plain"])
def test_an_etag_that_is_none_is_not_sent_back(tmp_path: Path, etag: str) -> None:
    with scripted_web(lambda asked: Reply(200, {"ETag": etag}, b'{"tags": ["1"]}')) as web:
        for _ in range(2):
            assert client(web, kept(tmp_path)).tags("shop/web") == ["1"]
        assert not [asked for asked in web.asked if "If-None-Match" in asked.headers]


def test_304_that_nobody_asked_for_is_no_answer() -> None:
    with scripted_web(lambda asked: Reply(304)) as web, pytest.raises(RegistryError, match="304"):
        client(web).tags("shop/web")


def test_too_many_requests() -> None:
    with scripted_web(lambda asked: Reply(429, {"Retry-After": "120"})) as web:
        with pytest.raises(AwayError) as caught:
            client(web).tags("shop/web")
        assert caught.value.exit_code == 75
        assert len([asked for asked in web.asked if "tags" in asked.path]) == 1


def an_index(asked: Asked) -> Reply:
    """An image of two platforms and an attestation; only the first one's configuration says when it was made."""
    if "/blobs/" in asked.path:
        return Reply(200, {}, CONFIG)
    if asked.path.endswith(ONE):
        return Reply(200, {"Content-Type": MANIFEST}, ONE_BODY)
    images = [
        {"digest": ONE, "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": ONE, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        {"digest": ONE, "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    body = json.dumps({"manifests": images}).encode()
    return Reply(200, {"Content-Type": INDEX, "Docker-Content-Digest": _digest(body)}, body)


CONFIG = json.dumps(
    {"created": "2026-01-02T03:04:05Z", "config": {"Labels": {CREATED: "2026-01-01T00:00:00Z"}}}
).encode()


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


ONE_BODY = json.dumps({"config": {"digest": _digest(CONFIG), "size": 1}}).encode()
ONE = _digest(ONE_BODY)


def test_as_much_as_is_needed_of_an_image(tmp_path: Path) -> None:
    with scripted_web(an_index) as web:
        ref = ImageRef(f"{web.host}/shop/web", "1")

        def asked_for(registry: Registry, **wanted: bool) -> tuple[Facts | None, int]:
            before = len(web.asked)
            found = registry.facts(ref, **wanted)
            return found, len(web.asked) - before

        registry = client(web, kept(tmp_path))
        registry.head(ref)  # finds out how the registry speaks
        found, requests = asked_for(registry, times=False, platforms=False)
        assert found
        assert (found.created, found.platforms, requests) == (None, (), 1)
        found, requests = asked_for(registry, times=False, platforms=True)
        assert found
        assert (found.platforms, requests) == (("linux/amd64", "linux/arm64/v8"), 1)
        found, requests = asked_for(registry, times=True, platforms=True)
        assert found
        assert found.created == 1767225600.0  # the label, before the configuration's own
        assert requests == 4
        again, requests = asked_for(client(web, kept(tmp_path)), times=True, platforms=True)
        assert again == found
        assert [asked.method for asked in web.asked[-1:]] == ["HEAD"]


def test_a_chart_says_its_time_itself() -> None:
    body = json.dumps({"annotations": {CREATED: "2026-01-01T00:00:00Z"}, "config": {}}).encode()
    with scripted_web(lambda asked: Reply(200, {"Content-Type": MANIFEST}, body)) as web:
        found = client(web).facts(ImageRef(f"{web.host}/charts/web", "1.0.0"), times=True, platforms=False)
    assert found == Facts(_digest(body), 1767225600.0)


# Chart repositories


def chart_client(web: Web, login: Login | None = None) -> RegistryHttp:
    return RegistryHttp(web.host, login, scheme="http", wait=lambda _: None)


CHARTS = b"""apiVersion: v1
entries:
  redis:
  - version: 1.2.3
    created: "2026-01-01T00:00:00Z"
  - version: 1.3.0
"""


def test_an_index_is_asked_for_once(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("If-None-Match") == '"one"':
            return Reply(304, {"ETag": '"one"'})
        return Reply(200, {"ETag": '"one"'}, CHARTS)

    with scripted_web(answer) as web:
        url = f"http://{web.host}/charts"
        first = chart_versions(chart_client(web), url, "redis", kept(tmp_path))
        again = chart_versions(chart_client(web), url, "redis", kept(tmp_path))
        assert [each.version for each in first] == ["1.2.3", "1.3.0"]
        assert again == first
        assert [asked.path for asked in web.asked] == ["/charts/index.yaml"] * 2


def test_credentials_stay_at_the_host_of_the_charts() -> None:
    with scripted_web(lambda asked: Reply(200, {}, CHARTS)) as elsewhere:

        def answer(asked: Asked) -> Reply:
            if "Authorization" not in asked.headers:
                return Reply(401, {"WWW-Authenticate": 'Basic realm="charts"'})
            return Reply(302, {"Location": f"http://{elsewhere.host}/index.yaml"})

        with scripted_web(answer) as web:
            login = Login(web.host, "the test", USER, PASSWORD)
            found = chart_versions(chart_client(web, login), f"http://{web.host}", "redis", None)
        assert [each.version for each in found] == ["1.2.3", "1.3.0"]
        assert [asked.headers.get("Authorization") for asked in elsewhere.asked] == [None]


def test_who_we_are_at_a_chart_repository() -> None:
    job = {"CI_JOB_TOKEN": "job-token-7", "CI_SERVER_HOST": "gitlab.example.com"}
    found = login_at("https://gitlab.example.com/api/v4/projects/1/packages/helm/stable", job)
    assert found
    assert (found.user, found.password) == ("gitlab-ci-token", "job-token-7")
    assert login_at("http://gitlab.example.com/charts", job) is None
    assert login_at("https://gitlab.example.com:9999/charts", job) is None
    assert login_at("https://charts.example.com", job) is None


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(404), "no chart repository"),
        (Reply(200, {}, b"<html>Sign in</html>"), "something else than the index"),
        (Reply(200, {}, CHARTS.replace(b"redis", b"radis")), "has no chart 'redis'"),
        (Reply(200, {}, b"entries:\n  redis: none\n"), "no list of versions"),
        (Reply(200, {}, b"entries: &a [*a, *a]"), "something else than the index"),
    ],
)
def test_what_is_no_index(reply: Reply, said: str) -> None:
    with scripted_web(lambda asked: reply) as web, pytest.raises(RegistryError, match=said):
        chart_versions(chart_client(web), f"http://{web.host}", "redis", None)
