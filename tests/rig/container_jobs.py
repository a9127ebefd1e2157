"""Pipelines whose jobs run in containers of our image, as GitLab's runner with Docker runs them: see `pipelines`.

project.executor, project.environ = in_containers(images("full"))

Each job starts from a fresh copy of the checkout, as the image's own user, on this machine's network. It reaches the
engine by its socket, which stands for `docker:dind`, and may make user namespaces, as buildah wants it.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

from ci_gitops import __version__
from tests.rig.image import REPOSITORY, Image, environment
from tests.rig.parts import program

HELPER = "gitlab-ci-local-helper"  # fetches artifacts; the usual one is in a registry that tests do not reach
_CLIENT = """\
#!/bin/sh
# The runner asks a container who its user is; on a busy machine so short an answer is lost at times.
[ "$1" != run ] || exec '{client}' image inspect --format '{{{{.Config.User}}}}' "$5"
[ "$1" != create ] || {{ shift; set -- create --security-opt seccomp=unconfined "$@"; }}
exec '{client}' "$@"
"""
_PROGRAMS = ("bash", "sh", "mkdir", "mktemp", "rm", "chown", "chmod", "rsync")


def in_containers(image: Image, *shared: Path, registry: str = "") -> tuple[tuple[str, ...], dict[str, str]]:
    """What the runner is told, and its environment. Jobs find `shared` folders where they are here.

    The templates' default image is `image`, where CI_REGISTRY is its registry or `registry`.
    """
    released = f"{registry or image.registry.host}/{REPOSITORY}:{__version__}"
    image.docker("pull", "--quiet", image.name)
    image.docker("tag", image.name, released)
    image.engine.socket.chmod(0o666)
    variables = environment(image.engine)
    if not image.docker("images", "-q", HELPER):
        subprocess.run([image.engine.client, "import", "-", HELPER], env=variables, input=_helper(), check=True,
                       capture_output=True)  # fmt: skip
    client = image.engine.folder / "client-of-runner"
    client.write_text(_CLIENT.format(client=image.engine.client))
    client.chmod(0o755)
    volumes = (f"{image.engine.socket}:/run/docker.sock", *(f"{each}:{each}" for each in shared))
    told = ("--shell-isolation", "--container-executable", str(client), "--no-umask", "--pull-policy", "if-not-present",
            "--network", "host", "--helper-image", HELPER,
            *(word for each in volumes for word in ("--volume", each)))  # fmt: skip
    return told, {name: variables[name] for name in ("DOCKER_HOST", "DOCKER_CONFIG")}


def _helper() -> bytes:
    """A file system with this machine's own programs and their libraries."""
    programs = [program(name, f"install Debian's {name}") for name in _PROGRAMS]
    linked = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    libraries = set(re.findall(r"(?m)(/\S+) \(0x", linked))
    packed = io.BytesIO()
    room = tarfile.TarInfo("tmp")
    room.type, room.mode = tarfile.DIRTYPE, 0o1777
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(room)
        for path in (*programs, *libraries):
            archive.add(Path(path).resolve(), arcname=path.lstrip("/"))
    return packed.getvalue()
