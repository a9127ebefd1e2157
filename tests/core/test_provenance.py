"""From an image that runs to the commit, the build and the merge request that brought it."""

from __future__ import annotations

from typing import Any

import pytest

from ci_gitops.core.family import grow
from ci_gitops.core.health import assess_health
from ci_gitops.core.mergerequest_text import Block, put_block
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.provenance import Commit, built_by, digests_of, moment, request_of, shown_labels, written_by
from ci_gitops.core.trailers import ImageMove, Source, Trailers

WEB = "registry.example.com/shop/web"
DIGEST = "sha256:" + "a" * 64
TARGET = "production/shop"


def moved(new: str, *, name: str = WEB, target: str = TARGET, pipeline: int = 1) -> Trailers:
    environment, app = target.split("/")
    return Trailers((ImageMove(environment, app, name, None, new),), (), Source("group/shop", "4f1a", pipeline))


def commit(sha: str, *trailers: Trailers, time: int = 100) -> Commit:
    return Commit(sha, "alice", "alice@example.com", time, "Update shop", trailers)


@pytest.mark.parametrize(
    ("image", "sha", "exact", "pipeline"),
    [
        (f"{WEB}:1.2", "c3", True, 3),
        (f"{WEB}:1.1@{DIGEST}", "c2", True, 2),
        (f"{WEB}:1.0", "c3", False, 3),
        ("registry.example.com/shop/web:1.2", "c3", True, 3),
    ],
    ids=["the newest", "an older one that runs on", "none of them", "the same place"],
)
def test_the_commit_that_wrote_what_runs(image: str, sha: str, exact: bool, pipeline: int) -> None:
    history = [
        commit("c4", moved(f"{WEB}:1.3", target="staging/shop"), moved("other:2", name="other")),
        commit("c3", moved(f"{WEB}:1.2", pipeline=3)),
        commit("c2", moved(f":1.1@{DIGEST}", pipeline=2)),
        commit("c1"),
    ]
    written = written_by(history, TARGET, image)
    assert written
    assert (written.commit.sha, written.exact) == (sha, exact)
    assert written.source
    assert written.source.pipeline == pipeline


@pytest.mark.parametrize(
    ("image", "sha"),
    [
        (f"{WEB}:1.1@{DIGEST}", "c2"),
        (f"mirror.example.com/web:one@{DIGEST}", "c2"),
        (f"{WEB}:1.0@{DIGEST}", "c2"),
        (f"{WEB}:1.2", None),
        (f"{WEB}:1.3", "c1"),
        (f"mirror.example.com/web:1.3@sha256:{'b' * 64}", None),
    ],
    ids=["promoted", "in a mirror", "one digest, another tag", "no build", "by its tag", "somebody else's tag"],
)
def test_the_build_of_what_was_promoted(image: str, sha: str | None) -> None:
    promoted = Trailers((ImageMove("production", "shop", WEB, None, f"{WEB}:1.2"),))
    history = [
        commit("c3", promoted),
        commit("c2", moved(f"{WEB}:1.1@{DIGEST}", target="staging/shop", pipeline=2)),
        commit("c1", moved(f"{WEB}:1.3", target="staging/shop")),
    ]
    found = built_by(history, image)
    assert (found.commit.sha if found else None) == sha


def test_an_image_that_is_renamed_in_the_target() -> None:
    found = written_by(
        [commit("c1", moved("mirror.example.com/web:1", name="web"))], TARGET, "mirror.example.com/web:1"
    )
    assert found
    assert found.exact


@pytest.mark.parametrize("image", ["registry.example.com/shop/api:1.2", "not an image", ""])
def test_what_nobody_wrote_has_no_commit(image: str) -> None:
    assert written_by([commit("c1", moved(f"{WEB}:1.2"))], TARGET, image) is None


def request(iid: int, *, merge: str = "", head: str = "", at: int = 0, state: Any = "merged") -> MergeRequest:
    return MergeRequest(
        iid, "ci-gitops/production/shop", "main", "Update", put_block("", Block().updated(moved(f"{WEB}:1.2"))), state,
        head, merge_sha=merge, merged_at=at,
    )  # fmt: skip


def test_the_merge_request_that_brought_it() -> None:
    found = request_of([request(1, merge="m1", at=50), request(2, head="c1", at=200)], commit("c1"), TARGET)
    assert found
    assert found.iid == 2
    squashed = request_of([request(1, merge="m1", at=50), request(3, merge="m3", at=300)], commit("m1"), TARGET)
    assert squashed
    assert squashed.iid == 1


def test_else_the_next_one_that_was_merged_for_the_target() -> None:
    requests = [request(1, merge="m1", at=50), request(3, merge="m3", at=300), request(2, merge="m2", at=200)]
    found = request_of(requests, commit("c1", time=100), TARGET)
    assert found
    assert found.iid == 2
    assert request_of(requests, commit("c1", time=100), "production/blog") is None
    assert request_of([request(1, state="open")], commit("c1"), TARGET) is None


def test_labels_that_builds_write() -> None:
    labels = {"org.opencontainers.image.source": "https://git/shop", "org.opencontainers.image.version": "",
              "maintainer": "x", "org.opencontainers.image.revision": "4f" * 400}  # fmt: skip
    assert shown_labels(labels) == {"source": "https://git/shop", "revision": "4f" * 150}


def test_the_digests_that_pods_really_run() -> None:
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "uid": "p"},
        "spec": {"containers": [{"name": "web", "image": f"{WEB}:1.2"}, {"name": "log", "image": "log:1"}]},
        "status": {"containerStatuses": [
            {"name": "web", "image": "normalised", "imageID": f"{WEB}@{DIGEST}"},
            {"name": "log", "imageID": ""},
        ]},
    }  # fmt: skip
    root = grow(pod, [], assess_health)
    assert digests_of([root], f"{WEB}:1.2") == (DIGEST,)
    assert digests_of([root], "log:1") == ()


def test_moments_are_in_utc() -> None:
    assert moment(0) == "1970-01-01T00:00:00Z"
