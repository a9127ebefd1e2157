"""The real cosign, in the two versions that are in use, with keys of its own and without the public log.

signing.sign("3", "127.0.0.1:40123/web@sha256:…", "robot")     # by cosign 3, with the key of robot
signing.path("2")                                              # a PATH on which `cosign` is version 2
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig.parts import program

VERSIONS = {"2": "cosign-2", "3": "cosign"}
HOW = "`make test` unpacks it from Debian"
#: Nothing is written to the public log.
_PRIVATE = {"2": ("--tlog-upload=false",), "3": ("--use-signing-config=false", "--tlog-upload=false")}


@dataclass(frozen=True)
class Signing:
    folder: Path

    def path(self, version: str) -> str:
        place = self.folder / f"cosign-{version}"
        if not place.is_dir():
            place.mkdir()
            (place / "cosign").symlink_to(program(VERSIONS[version], HOW))
        return f"{place}:{os.environ['PATH']}"

    def key(self, owner: str) -> str:
        """The public key, as its file."""
        file = self.folder / f"{owner}.pub"
        if not file.exists():
            self._run("3", "generate-key-pair", "--output-key-prefix", owner)
        return file.read_text()

    def sign(self, version: str, image: str, owner: str, *more: str) -> None:
        self.key(owner)
        self._run(version, "sign", "--yes", "--key", f"{owner}.key", *_PRIVATE[version], *more, image)

    def _run(self, version: str, *words: str) -> None:
        env = {"PATH": self.path(version), "HOME": str(self.folder), "COSIGN_PASSWORD": ""}
        done = subprocess.run(["cosign", *words], cwd=self.folder, env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    return Signing(tmp_path_factory.mktemp("signing"))
