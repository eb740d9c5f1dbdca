"""A client that asks and never reads: it is given up, and its connection is gone from the service."""

import errno
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jangbu.cli.serve.listening import listen
from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import PATIENCE_SECONDS, UPSTREAM_KEY, Service, eventually, serving

CLIENT_SECONDS = 2
IMAGE_BYTES = 8_000_000
"""More than the system keeps for a client that does not read."""
BYTES_A_SECOND = 200_000


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini(api_key=UPSTREAM_KEY, behaviour=f"image_bytes={IMAGE_BYTES}") as gemini:
        yield gemini


def asked(service: Service, *, receive_buffer: int) -> socket.socket:
    """Ask for an image, and read nothing of it yet."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.connect(("127.0.0.1", service.port))
    if service.trust is not None:
        client = service.trust.wrap_socket(client, server_hostname="localhost")
    body = json.dumps({"contents": [{"parts": [{"text": "a picture"}]}]})
    lines = (
        "POST /v1beta/models/gemini-2.5-flash-image:generateContent HTTP/1.1",
        "host: gateway",
        f"x-goog-api-key: {service.key}",
        "x-jangbu-user: kim",
        f"content-length: {len(body)}",
    )
    client.sendall("\r\n".join((*lines, "", body)).encode())
    return client


def is_kept(service: Service, client: socket.socket) -> bool:
    """Tell whether a process still holds the service's side of a connection: it has an inode."""
    here, there = (f":{port:04X}" for port in (service.port, client.getsockname()[1]))
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(row[1].endswith(here) and row[2].endswith(there) and row[9] != "0" for row in rows)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_who_never_reads_loses_the_connection(
    jangbu: Jangbu, gemini: FakeGemini, tmp_path: Path, *, secure: bool
) -> None:
    options = ("--tls-self-signed",) if secure else ()
    seconds, data = str(CLIENT_SECONDS), str(tmp_path / "data")
    with serving(jangbu, *options, gemini=gemini, JANGBU_CLIENT_SECONDS_MAX=seconds, JANGBU_DATA_DIR=data) as service:
        if secure:
            service.trust = ssl.create_default_context(cafile=service.facts["certificate"])
        with asked(service, receive_buffer=4_096) as client:
            eventually(gemini.answers)
            began = time.monotonic()
            assert is_kept(service, client)
            eventually(lambda: not is_kept(service, client))
            assert time.monotonic() - began < CLIENT_SECONDS + 5
        [total] = [answer.counted["totalTokenCount"] for answer in gemini.answers() if answer.counted]
        eventually(lambda: service.used() == (total, 0))


def test_who_reads_slowly_is_waited_for(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with (
        serving(jangbu, gemini=gemini, JANGBU_CLIENT_SECONDS_MAX=str(CLIENT_SECONDS)) as service,
        asked(service, receive_buffer=65_536) as client,
    ):
        client.settimeout(PATIENCE_SECONDS)
        got, began = 0, time.monotonic()
        while got < IMAGE_BYTES:
            piece = client.recv(65_536)
            assert piece, f"it was cut off after {got:,} bytes"
            got += len(piece)
            if time.monotonic() - began < CLIENT_SECONDS * 3:
                time.sleep(len(piece) / BYTES_A_SECOND)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such option")
def test_the_system_itself_ends_a_connection_whose_client_takes_nothing() -> None:
    [listener] = listen("127.0.0.1", 0, workers=1, client_seconds=1)
    with listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        with accepted:
            accepted.setblocking(False)
            with suppress(BlockingIOError):
                while accepted.send(bytes(65_536)):
                    pass
            eventually(lambda: accepted.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ETIMEDOUT, seconds=5)
