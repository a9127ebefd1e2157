"""Closes the box around itself and becomes the renderer: run as a script of its own, with the standard library alone.

Landlock leaves the tree, the scratch folder and system libraries (https://docs.kernel.org/userspace-api/landlock.html);
a seccomp filter denies sockets, since Landlock knows TCP alone; limits bound memory and files. All of it works
without privileges and inside containers, where new namespaces are refused.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import struct
import sys
from typing import Any

_NO_NEW_PRIVILEGES = 38
_SECCOMP = 22
_DIE_WITH_PARENT = 1
_SIGKILL = 9
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE, _READ, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
#: By the version of the kernel's interface: all file rights that it knows.
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_NEWEST_RIGHTS = (1 << 16) - 1
#: machine -> (its name for seccomp, what is denied): sockets first, then ways around (io_uring), into other
#: processes (ptrace, process_vm_*, pidfd_getfd), into the kernel (bpf, perf, userfaultfd, keys) and new namespaces.
_DENIED = {
    "x86_64": (0xC000003E, (41, 53, 101, 165, 248, 249, 250, 272, 298, 308, 310, 311, 321, 323, 425, 438)),
    "aarch64": (0xC00000B7, (198, 199, 117, 40, 217, 218, 219, 97, 241, 268, 270, 271, 280, 282, 425, 438)),
}
#: machine -> clone and clone3. The first may make threads and processes but no namespaces; the flags of the second
#: lie in memory, where a filter cannot see them, and whoever is told that there is none takes the first.
_CLONE = {"x86_64": (56, 435), "aarch64": (220, 435)}
_NEW_NAMESPACES = 0x7E020000
_X32 = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """The order comes on standard input: one argument may be no longer than 128 KiB."""
    order: dict[str, Any] = json.load(sys.stdin)
    limit(order)
    _libc.prctl(_DIE_WITH_PARENT, _SIGKILL, 0, 0, 0)
    _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    closed = {"landlock": landlock(order), "seccomp": seccomp(sockets=bool(order.get("network")))}
    if "argv" not in order:
        sys.stdout.write(json.dumps(closed))
        return 0
    if lacking := [part for part in order["needs"] if not closed[part]]:
        sys.stderr.write(f"the box cannot be closed: {' and '.join(lacking)} failed\n")
        return 125
    try:
        os.execve(order["argv"][0], order["argv"], order["env"])  # noqa: S606 - the whole point
    except OSError as error:
        sys.stderr.write(f"{order['argv'][0]} cannot be started: {error.strerror}\n")
    return 126


def limit(order: dict[str, Any]) -> None:
    """RLIMIT_DATA and not RLIMIT_AS: Go reserves far more addresses than it uses."""
    for name, value in (
        (resource.RLIMIT_DATA, order.get("memory")),
        (resource.RLIMIT_FSIZE, order.get("file_size")),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(name)[1]
        if value is not None and (hard == resource.RLIM_INFINITY or value < hard):
            resource.setrlimit(name, (value, value))


def landlock(order: dict[str, Any]) -> int:
    """Leave only what `order` names; the version of the kernel's interface, 0 where there is none."""
    version = int(_libc.syscall(_CREATE_RULESET, None, 0, 1))
    if version < 1:
        return 0
    rights = _RIGHTS.get(version, _NEWEST_RIGHTS)
    # File rights; then no TCP (4), no abstract Unix sockets and signals to others (6).
    words = (rights, 0 if order.get("network") else 3, 3)[: 1 if version < 4 else 2 if version < 6 else 3]
    attributes = struct.pack(f"={len(words)}Q", *words)
    ruleset = int(_libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0))
    if ruleset < 0:
        return 0
    reading = _READ | _READ_DIR
    for name, allowed in (("read", reading), ("run", reading | _EXECUTE), ("write", rights & ~_EXECUTE)):
        for path in order.get(name, ()):
            _allow(ruleset, path, allowed & rights)
    done = int(_libc.syscall(_RESTRICT_SELF, ruleset, 0)) == 0
    os.close(ruleset)
    return version if done else 0


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a folder that this system does not have
    if not os.path.isdir(path):  # noqa: PTH112 - pathlib costs a third of the start
        rights &= _ON_FILES
    _libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, opened), 0)
    os.close(opened)


def seccomp(*, sockets: bool) -> bool:
    """Answer EPERM to what is denied, unless it is `sockets`; calls of another machine's numbering end the process."""
    if platform.machine() not in _DENIED:
        return False
    machine, denied = _DENIED[platform.machine()]
    # (code, jump if true, jump if false, operand): see the BPF part of seccomp(2)
    load, equal, greater, any_of, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    killed, refused, unknown, allowed = 0x80000000, 0x00050001, 0x00050026, 0x7FFF0000
    steps = [(load, 0, 0, 4), (equal, 1, 0, machine), (answer, 0, 0, killed), (load, 0, 0, 0)]
    steps += [(greater, 0, 1, _X32), (answer, 0, 0, refused)]
    for number in denied[2:] if sockets else denied:
        steps += [(equal, 0, 1, number), (answer, 0, 0, refused)]
    clone, newer = _CLONE[platform.machine()]
    steps += [(equal, 0, 1, newer), (answer, 0, 0, unknown)]
    steps += [(equal, 0, 3, clone), (load, 0, 0, 16), (any_of, 0, 1, _NEW_NAMESPACES), (answer, 0, 0, refused)]
    steps.append((answer, 0, 0, allowed))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    return int(_libc.prctl(_SECCOMP, 2, ctypes.create_string_buffer(program), 0, 0)) == 0


if __name__ == "__main__":
    sys.exit(main())
