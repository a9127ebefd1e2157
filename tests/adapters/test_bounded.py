from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster.base import Document
from ci_gitops.adapters.cluster.bounded import bounded
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.cluster.files import LocalFiles
from ci_gitops.core.targets import Target
from ci_gitops.errors import RefusedError


def test_nothing_is_written_that_is_not_allowed(tmp_path: Path) -> None:
    def no_secrets(document: Document) -> None:
        if document["kind"] == "Secret":
            raise RefusedError("Not here.")

    plain = Directory(LocalFiles(tmp_path), Target("shop", "production", "."))
    cluster = bounded(plain, no_secrets)
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    for write in (cluster.apply, cluster.create, cluster.replace):
        with pytest.raises(RefusedError):
            write(secret)
    cluster.apply({**secret, "kind": "ConfigMap"})
    resource = cluster.resource("v1", "ConfigMap")
    assert resource
    assert cluster.get(resource, "", "a") == plain.get(resource, "", "a")
    assert (str(cluster), cluster.alive, cluster.namespace) == (str(plain), False, "")
