"""A server that sends an answer one byte at a time and never ends it, until the client hangs up."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_PAUSE = 0.02  # seconds between two bytes

#: Where an answer may drip: its first part comes at once, the second again and again.
DRIPS = {
    "first line": (b"HTTP/1.1 200 O", b"K"),
    "headers": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"y"),
    "more headers": (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n[", b" "),
    "body without a length": (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[", b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "size of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
}


@dataclass
class Dripping:
    """`host` is where it listens; `ended` says that every client has hung up."""

    host: str
    _open: list[threading.Thread] = field(default_factory=list)

    def ended(self, seconds: float) -> bool:
        for thread in self._open:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._open)


@contextmanager
def dripping_server(drip: str, tls: ssl.SSLContext | None = None) -> Iterator[Dripping]:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Dripping(f"127.0.0.1:{listening.getsockname()[1]}")

        def answer(client: socket.socket) -> None:
            with contextlib.suppress(OSError), client:
                if tls:
                    client = tls.wrap_socket(client, server_side=True)
                with client:
                    client.recv(65536)
                    begin, again = DRIPS[drip]
                    client.sendall(begin)
                    while not stop.wait(_PAUSE):
                        client.sendall(again)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    thread = threading.Thread(target=answer, args=(client,), daemon=True)
                    thread.start()
                    server._open.append(thread)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stop.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
