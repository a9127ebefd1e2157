"""fetch_tools.py ARCHITECTURE FOLDER [MIRROR]: download what tools.txt names, and keep only what has its checksum.

MIRROR is where the same files lie for those who do not reach the internet: MIRROR/HOST/PATH for https://HOST/PATH.
All programs come into FOLDER, or none. Needs nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

LIST = Path(__file__).with_name("tools.txt")
SECONDS = 60
#: Where a host may send us, besides to itself: the projects' releases lie there.
STORES = {"github.com": "githubusercontent.com", "dl.k8s.io": "dl.k8s.io"}


@dataclass(frozen=True)
class Tool:
    """One line of tools.txt."""

    name: str
    version: str
    architecture: str
    checksum: str
    address: str
    member: str | None = None  # its file, where the download is an archive


def main(architecture: str, folder: Path, mirror: str = "") -> int:
    wanted = [tool for tool in listed() if tool.architecture == architecture]
    if not wanted:
        sys.exit(f"{LIST.name} names nothing for {architecture}.")
    if mirror:
        checked(mirror)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        for tool in wanted:
            address = mirrored(tool.address, mirror)
            print(f"{tool.name} {tool.version} from {address}", flush=True)
            program = Path(work) / tool.name
            program.write_bytes(unpacked(fetch(address, tool), tool, address))
            program.chmod(0o755)
        folder.mkdir(exist_ok=True)
        for tool in wanted:
            (Path(work) / tool.name).replace(folder / tool.name)
    return 0


def listed() -> list[Tool]:
    return [Tool(*line.split()) for line in LIST.read_text().splitlines() if line and not line.startswith("#")]


def checked(mirror: str) -> None:
    parts = urlsplit(mirror)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        sys.exit(f"A mirror is an address like https://mirror.example.com/tools, not {mirror!r}.")
    if parts.username is not None:
        sys.exit("A mirror is read without a password: one in a build argument stays readable in the image's history.")


def mirrored(address: str, mirror: str) -> str:
    return f"{mirror.rstrip('/')}/{address.removeprefix('https://')}" if mirror else address


def fetch(address: str, tool: Tool) -> bytes:
    """What lies there, where it is what the list expects."""
    try:
        with urllib.request.build_opener(Redirects()).open(address, timeout=SECONDS) as answer:
            contents: bytes = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            sys.exit(f"{address} answers {error.code} {error.reason}; {tool.name} {tool.version} is wanted from there.")
    except http.client.IncompleteRead as error:
        sys.exit(f"{address} ended after {len(error.partial)} of {len(error.partial) + (error.expected or 0)} bytes.")
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"{address} cannot be read: {getattr(error, 'reason', error)}.")
    actual = hashlib.sha256(contents).hexdigest()
    if actual != tool.checksum:
        sys.exit(f"{address} has the SHA-256 {actual}; {LIST.name} expects {tool.checksum}.")
    return contents


class Redirects(urllib.request.HTTPRedirectHandler):
    """Stay with the host that was asked, or where it keeps its files, and never leave HTTPS."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message[str, str], newurl: str
    ) -> urllib.request.Request | None:
        if not followed(req.full_url, newurl):
            sys.exit(
                f"{req.full_url} sends us to {newurl}, which is neither there nor a place where that host keeps files."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def followed(address: str, target: str) -> bool:
    asked, there = urlsplit(address), urlsplit(target)
    store = STORES.get(asked.hostname or "")
    at_home = there.netloc == asked.netloc or (store is not None and (there.hostname or "").endswith(f".{store}"))
    return at_home and there.scheme in ("https", asked.scheme)


def unpacked(contents: bytes, tool: Tool, address: str) -> bytes:
    if tool.member is None:
        return contents
    try:
        with tarfile.open(fileobj=io.BytesIO(contents)) as archive:
            file = archive.extractfile(tool.member)
            if file is None:
                sys.exit(f"{tool.member} is no file in {address}.")
            return file.read()
    except (tarfile.TarError, KeyError) as error:
        sys.exit(f"{address} has no {tool.member}: {error}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
