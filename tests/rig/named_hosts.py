"""A web proxy that knows where names lead: `https://git.example.com` is a server of this machine.

with named_hosts({"git.example.com": 40123}, folder / "ca.pem") as proxy:
    environ = {"https_proxy": proxy, "CI_SERVER_TLS_CA_FILE": str(folder / "ca.pem")}

The servers themselves speak HTTP; the certificates are made here.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import trustme


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    ports: Mapping[str, int]
    tls: ssl.SSLContext


class _Tunnel(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """`CONNECT git.example.com:443 HTTP/1.1`, some headers, and then whatever both say."""
        name = self.rfile.readline().decode().split(" ")[1].partition(":")[0]
        while self.rfile.readline().strip():
            pass
        if name not in self.server.ports:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with (
            contextlib.suppress(OSError),  # a client that has gone
            self.server.tls.wrap_socket(self.connection, server_side=True) as here,
            socket.create_connection(("127.0.0.1", self.server.ports[name])) as there,
        ):
            _join(here, there)


def _join(here: ssl.SSLSocket, there: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(here, selectors.EVENT_READ)
        selector.register(there, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            for end, other in ((here, there), (there, here)):
                if end in ready:
                    data = end.recv(65536)
                    while here.pending() and end is here:
                        data += here.recv(65536)
                    if not data:
                        return
                    other.sendall(data)


@contextlib.contextmanager
def named_hosts(ports: Mapping[str, int], ca_file: Path) -> Iterator[str]:
    """The proxy's address; `ca_file` is written."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    with _Server(("127.0.0.1", 0), _Tunnel) as server:
        server.ports = ports
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*ports).configure_cert(server.tls)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
