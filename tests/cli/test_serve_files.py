"""``serve`` at the end of its files: who connects then waits for somebody to leave, and the log says what to raise."""

import asyncio
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from jangbu.cli.serve.accepting import Accepting
from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import FLASH, PATIENCE_SECONDS, UPSTREAM_KEY, Service, eventually, serving
from tests.faults.waiting import become

FILES = 256
CONNECTIONS = (FILES - 128) // 2
BEYOND = 30
BODY = b'{"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}'


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini:
        yield gemini


def limited(hard: int, soft: int | None = None) -> tuple[str, ...]:
    """Give the words before a command that may open so many files at most, and fewer as long as it asks for no more."""
    return ("sh", "-c", f'ulimit -Sn {soft or hard}; ulimit -Hn {hard}; exec "$@"', "sh")


def begun(service: Service, stack: ExitStack) -> socket.socket:
    """Send the head of a call on a connection of its own, whose body is to come."""
    connection = stack.enter_context(service.connect())
    head = f"POST /v1beta/models/{FLASH}:generateContent HTTP/1.1\r\nhost: x\r\nx-goog-api-key: {service.key}\r\n"
    head += f"x-jangbu-user: kim\r\ncontent-length: {len(BODY)}\r\nconnection: close\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def ended(connection: socket.socket) -> bytes:
    """Send the body; give the answer."""
    connection.sendall(BODY)
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def told(service: Service) -> list[str]:
    """Give what was logged of the limit."""
    return [line["message"] for line in service.lines() if "files" in line.get("message", "")]


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "workers"])
def test_calls_beyond_the_limit_wait_until_others_have_ended_and_none_is_cut(
    jangbu: Jangbu, gemini: FakeGemini, options: tuple[str, ...]
) -> None:
    words = ("--log-format", "json", *options)
    workers = max(1, len(options))
    with serving(jangbu, *words, gemini=gemini, before=limited(FILES)) as service, ExitStack() as stack:
        calls = [begun(service, stack) for _ in range(workers * CONNECTIONS + BEYOND)]
        eventually(lambda: len(told(service)) == workers)
        assert all(f"may open {FILES} files" in message and "ulimit -n" in message for message in told(service))
        time.sleep(1)
        assert len(told(service)) == workers, "it is said once a minute"
        answers = [ended(call) for call in calls]
        assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
        assert service.generate()[0] == 200


def test_a_connection_that_has_just_come_does_not_give_way_to_the_next(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with serving(jangbu, gemini=gemini, before=limited(FILES)) as service, ExitStack() as stack:
        connections = [stack.enter_context(service.connect()) for _ in range(CONNECTIONS + BEYOND)]
        time.sleep(0.2)
        for connection in connections:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert {connection.recv(65536)[:15] for connection in connections} == {b"HTTP/1.1 200 OK"}


def test_it_takes_as_many_files_as_it_may_have(jangbu: Jangbu) -> None:
    with serving(jangbu, before=limited(FILES, soft=FILES // 2)) as service:
        assert resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE) == (FILES, FILES)


@asynccontextmanager
async def accepting(taken: list[socket.socket]) -> AsyncIterator[int]:
    """Take connections, however many; give the port."""

    async def keep(connection: socket.socket) -> None:
        taken.append(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        door = Accepting(listener, keep, lambda _connecting: True)
        door.start()
        yield listener.getsockname()[1]
        door.stop()


@pytest.fixture
def no_files() -> Iterator[ExitStack]:
    """Give what opens all files that this process may have, until it is closed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) + 20, hard))
    with ExitStack() as files:
        yield files
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_all(files: ExitStack) -> None:
    """Open files until there are no more."""
    with suppress(OSError):
        while True:
            files.enter_context(socket.socket())


async def test_who_comes_when_no_file_is_left_is_taken_when_there_is_one_again(
    no_files: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[socket.socket] = []
    with ExitStack() as clients:
        async with accepting(taken) as port:
            waiting = [clients.enter_context(socket.socket()) for _ in range(3)]
            open_all(no_files)
            for client in waiting:
                client.connect(("127.0.0.1", port))
            await asyncio.sleep(0.5)
            assert taken == []
            [message] = [record.getMessage() for record in caplog.records]
            assert "no connection can be taken: Too many open files" in message
            no_files.close()
            await become(lambda: asyncio.sleep(0, len(taken) == len(waiting)))
        for connection in taken:
            connection.close()


def test_who_says_nothing_when_it_connects_gives_way_to_the_next(jangbu: Jangbu, gemini: FakeGemini) -> None:
    words, patience = ("--tls-self-signed",), str(10 * PATIENCE_SECONDS)
    with (
        serving(jangbu, *words, gemini=gemini, before=limited(FILES), JANGBU_HEAD_SECONDS_MAX=patience) as service,
        ExitStack() as stack,
    ):
        service.trust = ssl.create_default_context(cafile=service.facts["certificate"])
        silent = [stack.enter_context(service.connect()) for _ in range(CONNECTIONS)]
        assert service.generate()[0] == 200
        assert silent[0].recv(1) == b"", "the first gives way"
