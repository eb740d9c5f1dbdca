"""``serve --workers``: several processes that look like one."""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import UPSTREAM_KEY, Service, eventually, serving


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini:
        yield gemini


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_answer_and_one_that_is_killed_comes_back(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with serving(jangbu, "--workers", "2", "--log-format", "json", gemini=gemini) as service:
        first = service.workers()
        assert len(first) == 2
        with ThreadPoolExecutor(8) as clients:
            assert {status for status, _, _ in clients.map(lambda _: service.generate(), range(16))} == {200}
        victim = first.pop()
        os.kill(victim, signal.SIGKILL)
        assert service.json("/healthz") == (200, {"status": "ok"})
        eventually(lambda: len(service.workers() - {victim}) == 2)
        assert first < service.workers()
        with ThreadPoolExecutor(8) as clients:
            assert {status for status, _, _ in clients.map(lambda _: service.generate(), range(16))} == {200}
        total = sum(answer.counted["totalTokenCount"] for answer in gemini.answers() if answer.counted)
        assert service.used() == (total, 0)
        assert len(service.lines_that(lambda line: "worker.died" in line.get("message", ""))) == 1
        assert service.stop() == 0


def sockets_of(pid: int) -> int:
    return sum(each.readlink().name.startswith("socket:") for each in Path(f"/proc/{pid}/fd").iterdir())


def test_connections_that_come_at_once_are_divided_among_the_workers(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with serving(jangbu, "--workers", "2", gemini=gemini) as service:
        # One that the machine lets wait for a moment gets few of those that come in it.
        assert any(fewest_of_64(service) >= 8 for _ in range(3))


def fewest_of_64(service: Service) -> int:
    """Connect so often at once; give how many connections the worker has that has the fewest."""
    with ExitStack() as open_until_counted:
        before = {pid: sockets_of(pid) for pid in service.workers()}
        for _ in range(64):
            open_until_counted.enter_context(closing(socket.create_connection(("127.0.0.1", service.port))))
        eventually(lambda: sum(sockets_of(pid) - before[pid] for pid in before) >= 64)
        fewest = min(sockets_of(pid) - before[pid] for pid in before)
    eventually(lambda: all(sockets_of(pid) <= before[pid] for pid in before))
    return fewest


def test_a_worker_that_takes_no_connections_is_stood_in_for_by_the_others(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with serving(jangbu, "--workers", "2", gemini=gemini) as service:
        stalled = min(service.workers())
        os.kill(stalled, signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(8) as clients:
                assert {status for status, _, _ in clients.map(lambda _: service.generate(), range(24))} == {200}
        finally:
            os.kill(stalled, signal.SIGCONT)
        assert service.stop() == 0


def test_a_port_that_workers_serve_on_is_nobody_elses(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with serving(jangbu, "--workers", "2", gemini=gemini) as service:
        for workers in "12":
            ended = jangbu("serve", "--port", str(service.port), "--workers", workers)
            assert ended.code == 1
            assert "cannot be listened on: Address already in use" in ended.error_line


def test_whichever_worker_is_asked_tells_the_figures_of_all(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with serving(jangbu, "--workers", "2", gemini=gemini) as service:
        with ThreadPoolExecutor(8) as clients:
            list(clients.map(lambda _: service.generate(), range(20)))
        total = sum(answer.counted["totalTokenCount"] for answer in gemini.answers() if answer.counted)
        for _ in range(6):
            assert service.metric('jangbu_calls_total{status="2xx",verb="generateContent"}') == 20
            assert service.metric("jangbu_tokens_charged_total") == total
            assert service.metric("jangbu_recorder_queue") == 0


def test_workers_do_not_outlive_a_parent_that_is_killed(jangbu: Jangbu, gemini: FakeGemini) -> None:
    with serving(jangbu, "--workers", "2", gemini=gemini) as service:
        workers = service.workers()
        assert len(workers) == 2
        service.process.kill()
        service.process.wait()
        eventually(lambda: not any(is_running(worker) for worker in workers))


@pytest.mark.parametrize("number", ["0", "65", "two"])
def test_workers_are_a_small_number(offline: Jangbu, number: str) -> None:
    ended = offline("serve", "--workers", number)
    assert ended.code == 2
    assert "workers" in ended.error_line


def test_workers_share_the_embedded_server(offline: Jangbu, tmp_path: Path) -> None:
    environment = {name: value for name, value in offline.environment.items() if name != "JANGBU_DATABASE_URL"}
    embedded = Jangbu(offline.directory, {**environment, "JANGBU_DATA_DIR": str(tmp_path / "data")})
    with serving(embedded, "--workers", "2", JANGBU_VERTEX_PROJECT="shop") as service:
        assert service.json("/readyz")[0] == 200
        assert embedded.json("accounts", "create", "kim")["user"] == "kim"
        assert service.stop() == 0
