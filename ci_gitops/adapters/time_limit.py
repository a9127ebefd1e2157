"""A time limit for one request, from the first connection to the last byte of its answer.

The timeout of a socket begins anew with every byte, so a server that sends one now and then, in the headers or in the
body, would hold us for ever. Here a timer cuts the connection.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_PIECE = 64 * 1024


class TooLongError(Exception):
    """An answer that has more bytes than were allowed."""


class TimeLimit:
    """What is asked by `limited` connections within this block, in this thread, ends in time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._received, self._expected = 0, ""

    def __enter__(self) -> TimeLimit:
        self._before: Token[TimeLimit] = _limit.set(self)
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._socket = None  # it goes back to its pool
        _limit.reset(self._before)

    def left(self) -> float:
        return 0.0 if self.over else max(0.0, self._end - time.monotonic())

    def hold(self, connection: socket.socket) -> None:
        """This is what an exchange goes over now."""
        with self._lock:
            self._socket = connection
            self._received, self._expected = 0, ""
            if self.over:
                _shut(connection)

    def read(self, response: urllib3.BaseHTTPResponse, most: int) -> bytes:
        """The body of an answer, in pieces, so that it is known how far it came; TooLongError."""
        self._expected = response.headers.get("Content-Length", "")
        body = bytearray()
        while piece := response.read1(_PIECE, decode_content=True):
            body += piece
            self._received = response.tell()
            if len(body) > most:
                response.close()
                raise TooLongError
        if self.over:  # without a length, what was cut off looks like an end
            raise urllib3.exceptions.ProtocolError("cut off")
        return bytes(body)

    def how_far(self) -> str:
        """What had come when it was over."""
        if not self._received:
            return "nothing of it had come that could be read"
        of = f" of {self._expected}" if self._expected.isdigit() else ""
        return f"{self._received}{of} bytes had come"

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            if self._socket:
                _shut(self._socket)


_limit: ContextVar[TimeLimit] = ContextVar("_limit")


def running() -> TimeLimit:
    """That of the block which this is called in."""
    return _limit.get()


def _shut(connection: socket.socket) -> None:
    """Whoever reads from it sees its end. Not SSLSocket's own method, which takes the session from under a reader."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _held(connection: Any) -> None:
    limit = _limit.get(None)
    if limit and connection:
        limit.hold(connection)


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        _held(made)  # a proxy may drip before there is TLS
        return made

    def connect(self) -> None:
        super().connect()
        _held(self.sock)

    def request(self, *arguments: Any, **settings: Any) -> None:
        _held(self.sock)  # one that was kept
        super().request(*arguments, **settings)


class _Encrypted(_Plain, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(HTTPSConnectionPool):
    ConnectionCls = _Encrypted


def limited(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """The manager, whose connections a TimeLimit can cut."""
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _EncryptedPool}
    return manager
