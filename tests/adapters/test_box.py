"""The box is closed: real programs try to get out of it."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ci_gitops.adapters import box
from ci_gitops.adapters.process import Completed
from ci_gitops.errors import RefusedError, RenderError
from tests.rig.parts import missing

Boxed = Callable[..., Completed]
#: Debian's own interpreter: its libraries are where the system's are.
PYTHON = "/usr/bin/python3"
_CLONE = 56 if platform.machine() == "x86_64" else 220
_SYSCALL = "import ctypes; l = ctypes.CDLL(None, use_errno=True)"


@pytest.fixture
def boxed(tmp_path: Path) -> Boxed:
    """`boxed("print(1)")` runs Python in the box, with `tree` and `scratch` below the test's folder."""
    if not Path(PYTHON).exists():
        missing(PYTHON, "Debian's package python3")
    for name in ("tree", "scratch"):
        (tmp_path / name).mkdir()
    room = box.Room(tmp_path / "tree", tmp_path / "scratch")

    def run(code: str) -> Completed:
        level = box.level_for("best")
        assert level.name == "full", f"this machine's kernel: {level}"
        return box.run([PYTHON, "-I", "-S", "-c", code], room, level, cwd=room.tree)

    return run


def test_the_tree_can_be_read_and_the_scratch_folder_written(boxed: Boxed, tmp_path: Path) -> None:
    (tmp_path / "tree/a").write_text("inside")
    done = boxed("import os; open(os.environ['HOME'] + '/b', 'w').write('x'); print(open('a').read())")
    assert (done.code, done.text) == (0, "inside\n"), done.errors
    assert (tmp_path / "scratch/b").read_text() == "x"


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "open('../secret')",
        "open('link')",
        "open('new', 'w')",
        "import os; os.listdir('/root')",
        "import os; os.unlink('a')",
        "import os; os.execv('/bin/sh', ['sh', '-c', 'echo out'])",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "import socket; socket.socket(socket.AF_UNIX)",
        f"{_SYSCALL}\nif l.unshare(0x10000000) < 0 and ctypes.get_errno() == 1: raise PermissionError",
        f"{_SYSCALL}\nif l.syscall({_CLONE}, 1 << 28, 0, 0) < 0 and ctypes.get_errno() == 1: raise PermissionError",
        f"{_SYSCALL}\nif l.syscall(435, None, 0) < 0 and ctypes.get_errno() == 38: raise PermissionError",
        f"{_SYSCALL}\nif l.syscall(425, 1, None) < 0 and ctypes.get_errno() == 1: raise PermissionError",
    ],
)
def test_nothing_else(boxed: Boxed, tmp_path: Path, code: str) -> None:
    (tmp_path / "tree/a").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "tree/link").symlink_to(tmp_path / "secret")
    done = boxed(code)
    assert done.code
    assert "PermissionError" in done.errors
    assert not done.text


def test_threads_and_processes_are_no_namespaces(boxed: Boxed) -> None:
    done = boxed(
        "import os, threading; t = threading.Thread(target=print, args=('thread',), kwargs={'flush': True}); t.start();"
        "t.join(); p = os.fork(); os.waitpid(p, 0) if p else os._exit(0); print('process')"
    )
    assert (done.code, done.text) == (0, "thread\nprocess\n"), done.errors


def test_memory_is_bounded(boxed: Boxed) -> None:
    done = boxed("print(len(bytearray(2 ** 30)))")
    assert done.code
    assert "MemoryError" in done.errors


def test_a_runtime_that_breaks_down_for_want_of_memory_is_told_in_a_line(boxed: Boxed) -> None:
    trace = "SIGSEGV: segmentation violation\\ngoroutine 0 gp=0x1 m=0\\nruntime.(*spanQueue).drain(0x2)"
    with pytest.raises(RenderError, match=r"broke down in the box, where it has \d+ MiB of memory\.$"):
        boxed(f"import sys; sys.exit('{trace}')")


def test_time_is_bounded(boxed: Boxed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "SECONDS", 1)
    with pytest.raises(RenderError, match="did not end within 1 s"):
        boxed("import time; time.sleep(60)")


def test_output_is_bounded(boxed: Boxed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "_OUTPUT", 1024 * 1024)
    with pytest.raises(RenderError, match="wrote more than 1 MiB"):
        boxed("while True: print('x' * 65536)")


def test_a_file_that_fills_the_disk(boxed: Boxed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "_OUTPUT", 1024 * 1024)
    assert boxed(
        "import os; f = open(os.environ['HOME'] + '/b', 'wb'); [f.write(bytes(65536)) for _ in range(99)]"
    ).code


def test_the_environment_is_empty(boxed: Boxed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_GITOPS_TOKEN", "top-secret")
    names = json.loads(boxed("import os, json; print(json.dumps(sorted(os.environ)))").text)
    assert set(names) - {"LC_CTYPE"} == {"HOME", "TMPDIR"}


def test_what_cannot_be_closed_is_said() -> None:
    assert str(box.level_of({"landlock": 7, "seccomp": True})) == "full (Landlock, seccomp, limits)"
    partial = box.level_of({"landlock": 0, "seccomp": True})
    assert (partial.name, partial.missing) == ("partial", ("no Landlock: files outside the tree can be read",))
    assert box.level_of({}).parts == ()


def test_off_is_off_and_require_requires(monkeypatch: pytest.MonkeyPatch) -> None:
    assert box.level_for("off").name == "off"
    monkeypatch.setattr(box, "_probe", lambda: {"landlock": 0, "seccomp": True})
    assert box.level_for("best").name == "partial"
    with pytest.raises(RefusedError, match=r"no Landlock.*render\.sandbox requires it"):
        box.level_for("require")


def test_a_box_that_does_not_close_starts_nothing() -> None:
    """What was promised and then fails must not run the program in the open."""
    order = {"argv": [shutil.which("echo"), "out"], "env": {}, "needs": ["landlock", "seccomp"], "run": ["/"]}
    code = "import box_launcher, sys; box_launcher.landlock = lambda order: 0; sys.exit(box_launcher.main())"
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(order), cwd=Path(box.__file__).parent, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (125, "")
    assert "landlock failed" in done.stderr
