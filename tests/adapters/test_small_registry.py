"""The registry of the demo, asked as any other registry is."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from ci_gitops.adapters.oci_layout import push_layout, write_layout
from ci_gitops.adapters.registry_server import Started, running_registry


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Started]:
    """As on a machine that has no registry."""
    with running_registry(tmp_path / "registry", {"PATH": str(tmp_path)}) as started:
        yield started


def ask(method: str, started: Started, path: str, **more: object) -> urllib3.BaseHTTPResponse:
    return urllib3.request(method, f"http://{started.host}/v2/{path}", retries=False, **more)  # type: ignore[arg-type]


def test_it_gives_what_was_pushed(small: Started, tmp_path: Path) -> None:
    digest = write_layout(tmp_path / "image", {"a": "b"}, "web:1")
    push_layout(tmp_path / "image", small.host, "shop/web", "1")
    for name in ("1", digest):
        answer = ask("HEAD", small, f"shop/web/manifests/{name}")
        assert (answer.status, answer.headers["Docker-Content-Digest"]) == (200, digest)
    manifest = ask("GET", small, "shop/web/manifests/1").json()
    layer = ask("GET", small, f"shop/web/blobs/{manifest['layers'][0]['digest']}").data
    assert f"sha256:{hashlib.sha256(layer).hexdigest()}" == manifest["layers"][0]["digest"]
    assert ask("GET", small, "shop/web/tags/list").json() == {"name": "shop/web", "tags": ["1"]}


def test_it_says_what_it_does_not_have(small: Started) -> None:
    for path in ("shop/web/manifests/1", f"shop/web/blobs/sha256:{'0' * 64}", "../manifests/1", "a/../b/manifests/1"):
        assert ask("GET", small, path).status == 404


def test_an_upload_in_pieces_must_be_what_it_says(small: Started) -> None:
    """As Docker sends it."""
    content = b"x" * 100_000
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    place = ask("POST", small, "web/blobs/uploads/").headers["Location"].removeprefix("/v2/")
    pieces = (content[start : start + 30_000] for start in range(0, len(content), 30_000))
    assert ask("PATCH", small, place, body=pieces).status == 202
    assert ask("PUT", small, f"{place}&digest={digest}").status == 201
    assert ask("GET", small, f"web/blobs/{digest}").data == content
    place = ask("POST", small, "web/blobs/uploads/").headers["Location"].removeprefix("/v2/")
    assert ask("PUT", small, f"{place}&digest={digest}", body=b"else").status == 400


def test_the_reference_implementation_is_preferred(tmp_path: Path) -> None:
    if not any(shutil.which(name) for name in ("docker-registry", "registry")):
        pytest.skip("no registry program: Debian's package docker-registry")
    with running_registry(tmp_path / "registry", {"PATH": os.environ["PATH"]}) as started:
        assert "config.yml" in started.again
