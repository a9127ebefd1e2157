"""A mirror of what the image's build downloads, for those who do not reach the internet: releases and Debian packages.

mirror.release(image, {"helm": b"…", …}, "amd64")     # the files of image/tools.txt, and their checksums there
mirror.faults["helm-v"] = cut                         # what is asked for by such a name ends badly
mirror.debian("20260101T000000Z", packages, home)     # a day of Debian, signed by the key in the GnuPG folder `home`
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import os
import re
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.rig.parts import program

HOW = "install Debian's apt-utils"
PAST = "Thu, 01 Jan 2026 00:00:00 UTC"
Fault = Callable[["Handler", Path], None]


@dataclass
class Mirror:
    folder: Path
    address: str = ""
    asked: list[str] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)

    @property
    def days(self) -> set[str]:
        """Those of Debian that were asked for."""
        return {found for path in self.asked for found in re.findall(r"^/debian(?:-security)?/([^/]+)/", path)}

    def release(self, image: Path, programs: Mapping[str, bytes], architecture: str) -> None:
        """Write the files, and tools.txt of the folder `image` as if the projects had released them."""
        lines = []
        for line in (image / "tools.txt").read_text().splitlines():
            words = line.split()
            if not line.startswith("#") and words[2] == architecture:
                path = self.folder / words[4].removeprefix("https://")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive(programs[words[0]], *words[5:]))
                words[3] = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(" ".join(words))
        (image / "tools.txt").write_text("\n".join(lines) + "\n")

    def debian(self, day: str, packages: Iterable[Path], home: Path) -> None:
        """The suites as snapshot.debian.org has them: these packages, no updates since; no longer valid."""
        for archive, suite in (
            ("debian", "trixie"),
            ("debian", "trixie-updates"),
            ("debian-security", "trixie-security"),
        ):
            root = self.folder / archive / day
            listed = root / "dists" / suite / "main" / "binary-amd64" / "Packages"
            (root / "pool").mkdir(parents=True, exist_ok=True)
            listed.parent.mkdir(parents=True)
            for package in packages if suite == "trixie" else ():
                (root / "pool" / package.name).hardlink_to(package)
            listed.write_text(_ftparchive(root, "packages", "pool") if suite == "trixie" else "")
            dates = (f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in
                     (("Codename", suite), ("Suite", suite), ("Valid-Until", PAST), ("Components", "main"),
                      ("Architectures", "amd64")))  # fmt: skip
            release = _ftparchive(root, *dates, "release", f"dists/{suite}")
            signed = subprocess.run(["gpg", "--homedir", home, "--batch", "--clearsign"], input=release, text=True,
                                    capture_output=True, check=True)  # fmt: skip
            (root / "dists" / suite / "InRelease").write_text(signed.stdout)


def _ftparchive(folder: Path, *words: str) -> str:
    argv = [program("apt-ftparchive", HOW), *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True,
                          env={"PATH": os.environ["PATH"], "LC_ALL": "C"})  # fmt: skip
    return done.stdout


def archive(content: bytes, member: str = "") -> bytes:
    """As it is released: bare, or packed beside a page of text."""
    if not member:
        return content
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in ((member, content), ("LICENSE", b"do what you like\n")):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text))
    return gzip.compress(packed.getvalue(), 1, mtime=0)


class Handler(SimpleHTTPRequestHandler):
    mirror: Mirror

    def __init__(self, *words: object, mirror: Mirror) -> None:
        self.mirror = mirror
        super().__init__(*words, directory=str(mirror.folder))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.mirror.asked.append(self.path)
        for name, fault in self.mirror.faults.items():
            if name in self.path:
                return fault(self, Path(self.translate_path(self.path)))
        return super().do_GET()

    def log_message(self, *words: object) -> None:
        """Nothing: `asked` has it."""


def cut(handler: Handler, file: Path) -> None:
    """The connection ends before its answer does."""
    content = file.read_bytes()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])


def other(handler: Handler, file: Path) -> None:
    """A page instead of the file, as a login's is."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"<html>Who are you?</html>")


def lost(handler: Handler, file: Path) -> None:
    handler.send_error(404)


def sent_to(place: str) -> Fault:
    def answer(handler: Handler, file: Path) -> None:
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.end_headers()

    return answer


@contextlib.contextmanager
def running_mirror(folder: Path, address: str = "127.0.0.1", tls: tuple[Path, Path] | None = None) -> Iterator[Mirror]:
    """A server on a free port; `tls` is certificate and key."""
    mirror = Mirror(folder)
    with ThreadingHTTPServer((address, 0), functools.partial(Handler, mirror=mirror)) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        mirror.address = f"{'https' if tls else 'http'}://{address}:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield mirror
        finally:
            server.shutdown()
