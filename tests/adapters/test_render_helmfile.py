"""How helmfile is called: by a stand-in, since none is to be had for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops.adapters.renderers import render
from ci_gitops.errors import RenderError
from tests.rig.renderers import renderer_path, write

STAND_IN = r"""#!/bin/sh
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: called}\ndata: {words: "%s"}\n' "$*"
read secret < /etc/passwd && echo "$secret"
exit 0
"""


def test_the_stand_in_is_called_in_the_box(tmp_path: Path) -> None:
    helm = renderer_path("helm")
    write(tmp_path, {"bin/helmfile": STAND_IN, "tree/shop/helmfile.yaml": "releases: []\n"})
    (tmp_path / "bin/helmfile").chmod(0o755)
    (manifest,) = render(tmp_path / "tree", "shop", {"PATH": f"{tmp_path}/bin:{helm}"})
    words = manifest.document["data"]["words"]
    assert words == f"--quiet --skip-deps --helm-binary {helm}/helm template --include-crds"


def test_without_the_program(tmp_path: Path) -> None:
    write(tmp_path, {"shop/helmfile.yaml": "releases: []\n"})
    with pytest.raises(RenderError, match="helmfile is not on PATH") as caught:
        render(tmp_path, "shop", {"PATH": renderer_path("helm")})
    assert "https://" in str(caught.value.hint)
