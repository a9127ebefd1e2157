"""A mutating webhook as meshes and policy engines run them, on the loopback: it patches what is deployed."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme


@contextmanager
def mutating_webhook(folder: Path, patch: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> Iterator[dict[str, str]]:
    """Answers every review with a JSON patch; gives the `clientConfig` for an API server on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            response = {
                "uid": review["request"]["uid"],
                "allowed": True,
                "patchType": "JSONPatch",
                "patch": base64.b64encode(json.dumps(patch(review["request"]["object"])).encode()).decode(),
            }
            body = json.dumps({**review, "request": None, "response": response}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            return

    authority = trustme.CA()
    key = folder / "webhook.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
        yield {"url": f"https://127.0.0.1:{server.server_port}/", "caBundle": bundle}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
