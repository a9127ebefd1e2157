"""A real Git server over HTTP: `git http-backend` behind a threaded server, with a password and with faults on demand.

url = git_server.create("config", {"apps/web/kustomization.yaml": b"..."})
git_server.commit("config", {"README.md": b"..."})      # somebody else's push
git_server.read("config", "README.md")                  # what the server has now
git_server.reject("config", "GitLab: You are not allowed to push code to protected branches")
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

_HOW = "install Debian's git"
_IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Somebody"), ("EMAIL", "somebody@example.com"))
}


def run_git(*arguments: object, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
    """Bare git for setting up and looking, with none of this machine's settings."""
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    done = subprocess.run(
        ["git", *map(str, arguments)], input=stdin, capture_output=True, env={**clean, **_IDENTITY, **(env or {})},
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise AssertionError(f"git {arguments}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # with the query
    authorization: str | None


@dataclass
class BareRepositories:
    """Bare repositories in a folder, made and looked at with bare git."""

    root: Path

    def url(self, name: str) -> str:
        return str(self.bare(name))

    def bare(self, name: str) -> Path:
        return self.root / f"{name}.git"

    def create(
        self,
        name: str,
        files: Mapping[str, bytes] | None = None,
        branch: str = "main",
        *,
        allow_filter: bool = True,
        object_format: str = "sha1",
    ) -> str:
        """A bare repository with one commit of `files` (none where there are none); its address."""
        bare = self.bare(name)
        run_git("init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}",
                f"--object-format={object_format}", bare)  # fmt: skip
        settings = {
            "http.receivepack": "true",
            "uploadpack.allowFilter": str(allow_filter).lower(),
            "receive.advertisePushOptions": "true",
            "gc.auto": "0",
            "core.hooksPath": str(bare / "hooks"),
        }
        with (bare / "config").open("a") as config:
            for key, value in settings.items():
                section, _, variable = key.partition(".")
                config.write(f"[{section}]\n\t{variable} = {value}\n")
        if files is not None:
            self.commit(name, files, "First", branch)
        return self.url(name)

    def commit(
        self, name: str, files: Mapping[str, bytes | None], message: str = "Change", branch: str = "main"
    ) -> str:
        """A commit on the server's branch, as if somebody had pushed it; its id."""
        return self.history(name, [(message, files)], branch)[0]

    def history(
        self, name: str, commits: Sequence[tuple[str, Mapping[str, bytes | None]]], branch: str = "main",
        after: int = 0,
    ) -> list[str]:  # fmt: skip
        """Commits one after the other, each a message and its files (None takes one out); their ids.

        Their time is `after` seconds from now.
        """
        stream: list[bytes] = []
        grows = (self.bare(name) / "refs/heads" / branch).exists() or self.head(name, branch) is not None
        for mark, (message, files) in enumerate(commits, 1):
            stream.append(f"commit refs/heads/{branch}\nmark :{mark}\n".encode())
            stream.append(f"committer Somebody <somebody@example.com> {int(time.time()) + after} +0000\n".encode())
            stream.append(_data(message.encode()))
            if mark == 1 and grows:
                stream.append(f"from refs/heads/{branch}^0\n".encode())
            for path, contents in files.items():
                gone = contents is None
                stream.append(f"D {path}\n".encode() if gone else f"M 100644 inline {path}\n".encode())
                stream.append(b"" if contents is None else _data(contents))
        stream += [f"get-mark :{mark}\n".encode() for mark in range(1, len(commits) + 1)]
        return run_git("--git-dir", self.bare(name), "fast-import", "--quiet", stdin=b"".join(stream)).split()

    def head(self, name: str, branch: str = "main") -> str | None:
        """The commit of a branch, or None."""
        listed = run_git("--git-dir", self.bare(name), "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        return listed.strip() or None

    def refs(self, name: str) -> dict[str, str]:
        listed = run_git("--git-dir", self.bare(name), "for-each-ref", "--format=%(refname) %(objectname)")
        return dict(line.split(" ") for line in listed.splitlines())

    def read(self, name: str, path: str, branch: str = "main") -> bytes:
        return run_git("--git-dir", self.bare(name), "show", f"refs/heads/{branch}:{path}").encode()

    def messages(self, name: str, branch: str = "main") -> list[str]:
        """The messages of a branch, newest first."""
        text = run_git("--git-dir", self.bare(name), "log", "-z", "--format=%B", f"refs/heads/{branch}")
        return [message.strip() for message in text.split("\0") if message.strip()]

    def hook(self, name: str, script: str, kind: str = "pre-receive") -> None:
        """Put a receive hook into a repository."""
        hooks = self.bare(name) / "hooks"
        hooks.mkdir(exist_ok=True)
        (hooks / kind).write_text(f"#!/bin/sh\n{script}\n")
        (hooks / kind).chmod(0o755)

    def reject(self, name: str, words: str, ref: str = "*") -> None:
        """From now on pushes to `ref` (a shell pattern) are refused with these words."""
        (self.bare(name) / "words").write_text(words)
        self.hook(name, f'while read old new ref; do case "$ref" in {ref}) cat words >&2; exit 1;; esac; done')


@dataclass
class GitServer(BareRepositories):
    """Change the attributes at any time; requests in flight keep what they began with."""

    tls: ssl.SSLContext | None = None
    ca_file: Path | None = None
    user: str = "oauth2"
    password: str = "glpat-correct-horse-battery"
    anonymous: bool = False  # no password is asked for
    read_only: bool = False  # 403 for pushes, as for a token without the right
    hang: str | None = None  # requests whose path holds this get no answer
    statuses: list[int] = field(default_factory=list)  # the next answers are these HTTP statuses
    redirect: str | None = None  # every request is sent on to this address
    moved: dict[str, str] = field(default_factory=dict)  # old names of repositories, sent on to the new ones
    delay: float = 0.0  # seconds before each answer
    lose_answers: int = 0  # so many pushes are done, but their answers are lost
    before_push: Callable[[], None] | None = None  # called once, just before the next push is taken: for races
    requests: list[Request] = field(default_factory=list)
    address: str = "127.0.0.1"  # another one of this machine's, where others are to reach it
    name: str = ""  # the address that clients know, where something stands before it
    #: Asked before Git with each request and its body: a forge's API at the same address. True: it has answered.
    api: Callable[[BaseHTTPRequestHandler, bytes], bool] | None = None

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._server = _Server((self.address, 0), _Handler)
        self._server.git = self
        if self.tls:
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def base(self) -> str:
        scheme = "https" if self.tls else "http"
        host = "localhost" if self.address == "127.0.0.1" else self.address
        return self.name or f"{scheme}://{host}:{self.port}"

    def url(self, name: str) -> str:
        return f"{self.base}/{name}.git"


def _data(contents: bytes) -> bytes:
    return f"data {len(contents)}\n".encode() + contents + b"\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    git: GitServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that was killed, or that does not trust our certificate: what the tests are about


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body does not wait 40 ms for its headers to be acknowledged
    server: _Server

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    def _handle(self) -> None:
        git = self.server.git
        body = self._body()
        if git.api and git.api(self, body):
            return
        git.requests.append(Request(self.command, self.path, self.headers.get("Authorization")))
        if git.hang and git.hang in self.path:
            git._stop.wait(600)
            self.close_connection = True
            return
        if git.delay:
            git._stop.wait(git.delay)
        if git.statuses:
            self._answer(git.statuses.pop(0), b"no")
        elif self.path.split(".git/")[0].strip("/") in git.moved:
            old = self.path.split(".git/")[0].strip("/")
            self._answer(301, b"", {"Location": git.base + self.path.replace(old, git.moved[old], 1)})
        elif git.redirect:
            self._answer(302, b"", {"Location": git.redirect + self.path})
        elif not git.anonymous and self.headers.get("Authorization") != self._expected():
            self._answer(401, b"HTTP Basic: Access denied", {"WWW-Authenticate": 'Basic realm="Git"'})
        elif git.read_only and "receive-pack" in self.path:
            self._answer(403, b"You are not allowed to push code to this project.")
        else:
            self._backend(body)

    def _expected(self) -> str:
        git = self.server.git
        return "Basic " + base64.b64encode(f"{git.user}:{git.password}".encode()).decode()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _backend(self, body: bytes) -> None:
        git = self.server.git
        pushes = self.command == "POST" and self.path.endswith("/git-receive-pack")
        if pushes and git.before_push:
            callback, git.before_push = git.before_push, None
            callback()
        path, _, query = self.path.partition("?")
        path = re.sub(r"^http://[^/]*", "", path)  # as a proxy we are asked with the whole address
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(git.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "REQUEST_METHOD": self.command,
            "PATH_INFO": urllib.parse.unquote(path),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "REMOTE_USER": git.user,
            "REMOTE_ADDR": self.client_address[0],
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env, check=False)
        if pushes and git.lose_answers:
            git.lose_answers -= 1
            self.close_connection = True
            return
        head, _, contents = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split(" ")[0])
        self._answer(status, contents, headers)

    def _answer(self, status: int, contents: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(contents)))
        self.end_headers()
        self.wfile.write(contents)


def _need_git() -> None:
    from tests.rig.parts import missing

    if shutil.which("git") is None:
        missing("git", _HOW)


@pytest.fixture
def repositories(tmp_path_factory: pytest.TempPathFactory) -> BareRepositories:
    """Repositories on this machine, by their paths: half the work, where it does not matter how Git gets there."""
    _need_git()
    return BareRepositories(tmp_path_factory.mktemp("repositories"))


@pytest.fixture
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A Git server over plain HTTP on this machine, with no repository yet."""
    _need_git()
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture
def git_tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """The same over HTTPS; `ca_file` is the authority that signed its certificate."""
    with tls_server(tmp_path_factory.mktemp("git-tls")) as server:
        yield server


def tls_server(root: Path, address: str = "127.0.0.1") -> GitServer:
    """One over HTTPS at this address, not started yet."""
    import trustme

    _need_git()
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", address).configure_cert(context)
    ca_file = root / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    return GitServer(root, context, ca_file, address=address)
