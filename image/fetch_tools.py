"""fetch_tools.py ARCHITECTURE FOLDER: download what tools.txt names, and keep only what has its checksum.

Needs nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import urllib.request
from pathlib import Path

LIST = Path(__file__).with_name("tools.txt")


def main(architecture: str, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    lines = (line.split() for line in LIST.read_text().splitlines() if line and not line.startswith("#"))
    found = 0
    for name, version, of, checksum, address, *member in lines:
        if of != architecture:
            continue
        print(f"{name} {version} from {address}", flush=True)
        program = unpacked(fetch(address, checksum), *member)
        (folder / name).write_bytes(program)
        (folder / name).chmod(0o755)
        found += 1
    if not found:
        sys.exit(f"{LIST.name} names nothing for {architecture}.")
    return 0


def fetch(address: str, checksum: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        contents: bytes = answer.read()
    actual = hashlib.sha256(contents).hexdigest()
    if actual != checksum:
        sys.exit(f"{address} has the SHA-256 {actual}; {LIST.name} expects {checksum}.")
    return contents


def unpacked(contents: bytes, member: str | None = None) -> bytes:
    if member is None:
        return contents
    with tarfile.open(fileobj=io.BytesIO(contents)) as archive:
        file = archive.extractfile(member)
        if file is None:
            sys.exit(f"{member} is no file of the archive.")
        return file.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
