from __future__ import annotations

from ci_gitops.core import oci
from ci_gitops.core.ci import CiFacts

JOB = {
    "GITLAB_CI": "true",
    "CI_COMMIT_SHA": "c0ffee",
    "CI_COMMIT_TIMESTAMP": "2026-11-20T10:00:00+01:00",
    "CI_COMMIT_BRANCH": "main",
    "CI_PROJECT_URL": "https://gitlab.example.com/shop/web",
}
P = "org.opencontainers.image."


def test_labels_say_where_an_image_came_from() -> None:
    assert oci.labels(CiFacts.from_environ(JOB), "c0ffee") == {
        P + "source": "https://gitlab.example.com/shop/web",
        P + "revision": "c0ffee",
        P + "created": "2026-11-20T10:00:00+01:00",
        P + "version": "c0ffee",
        P + "ref.name": "main",
    }


def test_a_tag_is_version_and_ref() -> None:
    labels = oci.labels(CiFacts.from_environ({**JOB, "CI_COMMIT_TAG": "v1.2"}), "other")
    assert (labels[P + "version"], labels[P + "ref.name"]) == ("v1.2", "v1.2")


def test_outside_ci_there_is_nothing_to_say() -> None:
    assert oci.labels(CiFacts.from_environ({}), "1.0") == {}
