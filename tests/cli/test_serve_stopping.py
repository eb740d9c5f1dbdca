"""How the service ends: in order when it is asked once, at once when it is asked twice."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import FLASH, PATIENCE_SECONDS, UPSTREAM_KEY, Service, eventually, serving

SLOW = 0.4


class Streaming(threading.Thread):
    """A client that reads a stream, and what it got in the end."""

    def __init__(self, service: Service) -> None:
        super().__init__(daemon=True)
        self._service = service
        self.body = b""
        self.failure: BaseException | None = None

    def run(self) -> None:
        request = self._service.request(f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse", "tell me a story")
        try:
            _, self.body, _ = self._service.ask(request)
        except Exception as error:
            self.failure = error


@pytest.fixture
def slow_gemini() -> Iterator[FakeGemini]:
    with FakeGemini(api_key=UPSTREAM_KEY, chunk_delay=SLOW, behaviour="chunks=6") as gemini:
        yield gemini


def begun(service: Service, gemini: FakeGemini) -> Streaming:
    """Begin a stream, and come back when it flows."""
    client = Streaming(service)
    client.start()
    eventually(gemini.requests)
    time.sleep(SLOW)
    return client


def is_of_a_request(line: dict[str, Any]) -> bool:
    return bool(line["event"] == "request")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stream_under_way_is_finished_and_recorded(jangbu: Jangbu, slow_gemini: FakeGemini, workers: str) -> None:
    with serving(jangbu, "--workers", workers, gemini=slow_gemini) as service:
        client = begun(service, slow_gemini)
        assert service.stop() == 0
        client.join()
        assert client.failure is None
        [answer] = slow_gemini.answers()
        assert answer.counted is not None
        assert client.body.count(b"data: ") == 6
        assert service.used() == (answer.counted["totalTokenCount"], 0)


def test_nothing_new_is_taken_while_it_ends(jangbu: Jangbu, slow_gemini: FakeGemini) -> None:
    with serving(jangbu, gemini=slow_gemini) as service:
        client = begun(service, slow_gemini)
        service.process.send_signal(signal.SIGTERM)

        def is_closed() -> bool:
            try:
                service.connect().close()
            except ConnectionRefusedError:
                return True
            return False

        eventually(is_closed)
        assert service.process.poll() is None
        client.join()


@pytest.mark.parametrize(("workers", "seconds"), [("1", "1"), ("2", "1"), ("1", "0")])
def test_what_does_not_end_in_time_is_cut_and_not_given_away(
    jangbu: Jangbu, slow_gemini: FakeGemini, workers: str, seconds: str
) -> None:
    slow_gemini.next("chunk_delay=30; chunks=6")
    with serving(
        jangbu, "--workers", workers, "--log-format", "json", gemini=slow_gemini, JANGBU_STOP_SECONDS_MAX=seconds
    ) as service:
        client = begun(service, slow_gemini)
        before = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - before < 10
        client.join()
        used, held = service.used()
        assert (used > 0) is not (held > 0), (
            "what was reported until then is charged; where nothing was, the hold stays"
        )
        [request] = service.lines_that(is_of_a_request)
        assert request["broken_off"] is True


def test_a_call_without_an_answer_is_told_so_as_google_would_and_keeps_its_hold(
    jangbu: Jangbu, slow_gemini: FakeGemini
) -> None:
    slow_gemini.next("delay=30")
    with serving(jangbu, "--log-format", "json", gemini=slow_gemini, JANGBU_STOP_SECONDS_MAX="1") as service:
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(service.ask, service.request(f"/v1beta/models/{FLASH}:generateContent", "a story"))
            eventually(slow_gemini.requests)
            assert service.stop() == 0
            status, body, _ = asked.result()
        error = json.loads(body)["error"]
        assert (status, error["code"], error["status"]) == (502, 502, "UNAVAILABLE")
        assert error["message"] == "the gateway stops, and the call had no answer yet; ask again"
        used, held = service.used()
        assert used == 0 < held, "whether it will be paid for nobody knows yet"
        [request] = service.lines_that(is_of_a_request)
        assert request["status"] == 502
        assert "broken_off" not in request


def test_a_service_without_calls_that_waits_for_none_ends_without_a_complaint(jangbu: Jangbu) -> None:
    with serving(jangbu, "--log-format", "json", JANGBU_STOP_SECONDS_MAX="0", GEMINI_API_KEY=UPSTREAM_KEY) as service:
        assert service.stop() == 0
        assert service.lines() == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_asks_twice_does_not_wait(jangbu: Jangbu, slow_gemini: FakeGemini, workers: str) -> None:
    slow_gemini.next("chunk_delay=300; chunks=6")
    with serving(jangbu, "--workers", workers, gemini=slow_gemini, JANGBU_STOP_SECONDS_MAX="600") as service:
        client = begun(service, slow_gemini)
        service.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert service.process.poll() is None
        before = time.monotonic()
        assert service.stop(signal.SIGINT) == 130
        assert time.monotonic() - before < PATIENCE_SECONDS, "what it would have waited for takes ten times as long"
        client.join()
