"""The meter is closed under calls: what was begun is finished and recorded, and nothing stays held unseen."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from google import genai

from jangbu import JangbuError, Meter, Settings
from jangbu.sdk.background import Background
from jangbu.testing import FakeGemini
from jangbu.wiring import open_metering
from tests.sdk.scenarios.stage import MODEL, USER, Stage

CUT_OFF = "closed before this call had ended"


@pytest.fixture
async def later(database_url: str, gemini: FakeGemini) -> AsyncIterator[Stage]:
    """Another meter on the ledger, to look at what the closed one left."""
    with Meter.open(settings=Settings.load(database_url=database_url)) as meter:
        stage = Stage(meter, gemini)
        yield stage
        await stage.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
async def impatient(database_url: str, stage: Stage) -> AsyncIterator[Stage]:
    """A client of a meter that waits for no call when it is closed."""
    settings = Settings.load(database_url=database_url)
    meter = Meter(Background(lambda: open_metering(settings), patience_seconds=0))
    impatient = Stage(meter, stage.gemini)
    yield impatient
    meter.close()
    await impatient.close()


def ask(stage: Stage) -> Any:
    with stage.meter.attribute(user=USER):
        return stage.client.models.generate_content(model=MODEL, contents="hello")


def stream(stage: Stage) -> Any:
    with stage.meter.attribute(user=USER):
        return stage.client.models.generate_content_stream(model=MODEL, contents="hello")


def test_a_call_in_another_thread_is_recorded(stage: Stage, later: Stage, pool: ThreadPoolExecutor) -> None:
    stage.gemini.next("delay=0.5")
    asking = pool.submit(ask, stage)
    stage.wait_for_request()
    stage.meter.close()
    assert asking.result().text
    later.assert_the_book_equals_the_log()


async def test_a_call_in_another_task_is_recorded(stage: Stage, later: Stage) -> None:
    stage.gemini.next("delay=0.5")
    with stage.meter.attribute(user=USER):
        asking = asyncio.create_task(stage.client.aio.models.generate_content(model=MODEL, contents="hello"))
    await asyncio.to_thread(stage.wait_for_request)
    await stage.meter.aclose()
    assert (await asking).text
    await asyncio.to_thread(later.assert_the_book_equals_the_log)


def test_a_call_that_comes_while_the_meter_is_closed_is_refused(
    stage: Stage, later: Stage, pool: ThreadPoolExecutor
) -> None:
    stage.gemini.next("delay=1")
    asking = pool.submit(ask, stage)
    stage.wait_for_request()
    closing = pool.submit(stage.meter.close)
    with suppress(JangbuError):
        while True:
            stage.meter.balance(USER)
    with pytest.raises(JangbuError, match="the meter is closed"):
        ask(stage)
    closing.result()
    assert asking.result().text
    assert len(later.gemini.requests()) == 1
    later.assert_the_book_equals_the_log()


def test_a_stream_in_another_thread_is_read_to_its_end(stage: Stage, later: Stage, pool: ThreadPoolExecutor) -> None:
    stage.gemini.next("chunks=5; chunk_delay=0.1")
    begun = threading.Event()

    def read() -> int:
        chunks = 0
        for _chunk in stream(stage):
            begun.set()
            chunks += 1
        return chunks

    reading = pool.submit(read)
    begun.wait()
    stage.meter.close()
    assert reading.result() > 1
    assert [record.source for record in later.records()] == ["reported"]
    later.assert_the_book_equals_the_log()


async def test_a_stream_in_another_task_is_read_to_its_end(stage: Stage, later: Stage) -> None:
    stage.gemini.next("chunks=5; chunk_delay=0.1")
    begun = asyncio.Event()

    async def read() -> int:
        chunks = 0
        with stage.meter.attribute(user=USER):
            arriving = await stage.client.aio.models.generate_content_stream(model=MODEL, contents="hello")
        async for _chunk in arriving:
            begun.set()
            chunks += 1
        return chunks

    reading = asyncio.create_task(read())
    await begun.wait()
    await stage.meter.aclose()
    assert await reading > 1
    assert [record.source for record in later.records()] == ["reported"]
    later.assert_the_book_equals_the_log()


def test_a_stream_that_the_closing_thread_was_reading_is_settled_from_what_was_reported(
    stage: Stage, later: Stage
) -> None:
    stage.gemini.next("chunks=6; chunk_delay=0.05")
    chunks = stream(stage)
    next(chunks)
    stage.meter.close()
    with pytest.raises(JangbuError, match=CUT_OFF):
        next(chunks)
    chunks.close()
    assert [record.source for record in later.records()] == ["partial"]
    assert later.holds() == []


async def test_a_stream_that_the_closing_task_was_reading_is_settled_from_what_was_reported(
    stage: Stage, later: Stage
) -> None:
    stage.gemini.next("chunks=6; chunk_delay=0.05")
    with stage.meter.attribute(user=USER):
        chunks: Any = await stage.client.aio.models.generate_content_stream(model=MODEL, contents="hello")
    await anext(chunks)
    await stage.meter.aclose()
    with pytest.raises(JangbuError, match=CUT_OFF):
        await anext(chunks)
    assert [record.source for record in later.records()] == ["partial"]
    assert later.holds() == []


def test_a_call_that_is_waited_for_no_longer_is_marked_unknown(
    impatient: Stage, stage: Stage, pool: ThreadPoolExecutor
) -> None:
    stage.gemini.next("delay=1")
    asking = pool.submit(ask, impatient)
    stage.wait_for_request()
    impatient.meter.close()
    with pytest.raises(JangbuError, match=CUT_OFF):
        asking.result()
    assert stage.records() == []
    assert stage.holds() == ["unknown"]


def test_a_stream_that_is_waited_for_no_longer_is_settled_from_what_was_reported(
    impatient: Stage, stage: Stage, pool: ThreadPoolExecutor
) -> None:
    stage.gemini.next("chunks=6; chunk_delay=0.05")
    chunks = stream(impatient)
    pool.submit(next, chunks).result()
    impatient.meter.close()
    with pytest.raises(JangbuError, match=CUT_OFF):
        pool.submit(next, chunks).result()
    assert [record.source for record in stage.records()] == ["partial"]
    assert stage.holds() == []


@pytest.mark.skipif(not hasattr(genai.Client, "interactions"), reason="this google-genai has no interactions")
@pytest.mark.filterwarnings("ignore:.*nteractions.*:UserWarning")
def test_a_run_in_the_background_keeps_its_hold(stage: Stage, later: Stage) -> None:
    with stage.meter.attribute(user=USER):
        stage.client.interactions.create(model=MODEL, input="research", background=True)
    stage.meter.close()
    assert later.holds() == ["open"]


AT_EXIT = """
import sys, threading
from google import genai
from jangbu import Meter, Settings

url, dsn, way = sys.argv[1:]
meter = Meter.open(settings=Settings.load(database_url=dsn))
client = meter.wrap(genai.Client(api_key="a-key", http_options={"base_url": url}))

def ask():
    with meter.attribute(user="minji"):
        answer = client.models.generate_content(model="gemini-2.5-flash", contents="hello")
        # The interpreter may end between the two writes that print() makes of a line and its end.
        sys.stdout.write(f"{bool(answer.text)}\\n")

if way == "call":
    threading.Thread(target=ask, daemon=True).start()
    sys.stdin.readline()
else:
    with meter.attribute(user="minji"):
        chunks = client.models.generate_content_stream(model="gemini-2.5-flash", contents="hello")
    print(bool(next(chunks).text))
"""


@pytest.mark.parametrize(
    ("way", "behaviour", "source"),
    [("call", "delay=1", "reported"), ("stream", "chunks=6; chunk_delay=0.1", "partial")],
)
def test_what_was_begun_is_recorded_when_the_interpreter_exits(
    stage: Stage, database_url: str, way: str, behaviour: str, source: str
) -> None:
    stage.gemini.next(behaviour)
    command = [sys.executable, "-c", AT_EXIT, stage.gemini.url, database_url, way]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as process:
        stage.wait_for_request()
        printed, complaints = process.communicate("exit\n")
    assert (process.returncode, complaints) == (0, "")
    assert printed in ("True\n", "")
    assert [record.source for record in stage.records()] == [source]
    assert stage.holds() == []


def test_a_call_that_is_interrupted_at_any_line_before_it_is_sent_holds_nothing(stage: Stage) -> None:
    line = 0
    while interrupted(lambda: ask(stage), at_line=line):
        line += 1
        while stage.balance.held:
            assert stage.holds() != ["unknown"]
    assert line > 20
    assert len(stage.gemini.requests()) == 1
    stage.assert_the_book_equals_the_log()


def interrupted(work: Callable[[], object], *, at_line: int) -> bool:
    """Interrupt work at one of the lines that open a call; tell whether it was not yet sent."""
    files = ("drivers.py", "api_client.py")
    lines = -1
    done = False

    def trace(frame: Any, event: str, _argument: object) -> Any:
        nonlocal lines, done
        code = frame.f_code
        if done or "jangbu/sdk" not in code.co_filename or not code.co_filename.endswith(files):
            return None
        if code.co_name == "sending":
            done = True
        elif event == "line":
            lines += 1
            if lines == at_line:
                done = True
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False
