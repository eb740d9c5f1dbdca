"""``serve --workers``: several processes that look like one."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import UPSTREAM_KEY, eventually, serving


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
        [died] = [line for line in service.lines() if line["event"] == "log"]
        assert "worker.died" in died["message"]
        assert service.stop() == 0


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


def test_what_is_wrong_is_told_before_a_worker_is_started(offline: Jangbu) -> None:
    ended = offline("serve", "--workers", "2")
    assert ended.code == 7
    assert ended.error_line


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
