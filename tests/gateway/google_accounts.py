"""A Google that gives access tokens to service accounts, and a service account that asks it for them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ACCOUNT = "gateway@shop-project.iam.gserviceaccount.com"
PATIENCE_SECONDS = 60


@dataclass
class TokenEndpoint:
    """Gives ``token-1``, ``token-2`` and so on, each for ``seconds``; or refuses with a status and a body."""

    url: str = ""
    seconds: int = 3600
    delay: float = 0
    refusal: tuple[int, str] | None = None
    asked: list[str] = field(default_factory=list)

    def answer(self, body: str) -> tuple[int, str]:
        """Answer one request for a token."""
        self.asked.append(body)
        time.sleep(self.delay)
        if self.refusal is not None:
            return self.refusal
        given = {"access_token": f"token-{len(self.asked)}", "expires_in": self.seconds, "token_type": "Bearer"}
        return 200, json.dumps(given)

    def wait_for(self, requests: int) -> None:
        """Wait until so many tokens were asked for."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.asked) < requests:
            assert time.monotonic() < deadline, f"{len(self.asked)} tokens were asked for, not {requests}"
            time.sleep(0.01)

    def key_file(self, folder: Path) -> Path:
        """Write the key file of a service account that asks here."""
        file = folder / "service-account.json"
        account = {
            "type": "service_account",
            "project_id": "shop-project",
            "private_key_id": "key-1",
            "private_key": private_key(),
            "client_email": ACCOUNT,
            "token_uri": self.url,
        }
        file.write_text(json.dumps(account))
        return file


@contextmanager
def token_endpoint() -> Iterator[TokenEndpoint]:
    """Serve until the context is left."""
    endpoint = TokenEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = endpoint.answer(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/token"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()


@cache
def private_key() -> str:
    """Make one RSA key for all tests."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
