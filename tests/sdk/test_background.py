"""The ledger's own thread: opened once, waited for from any side, closed in order."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from jangbu.errors import DatabaseUnreachable, JangbuError
from jangbu.sdk.background import Background


def opener(events: list[str]) -> AbstractAsyncContextManager[list[str]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[list[str]]:
        events.append("opened")
        yield events
        events.append("closed")

    return opened()


@pytest.fixture
def events() -> list[str]:
    return []


@pytest.fixture
def background(events: list[str]) -> Iterator[Background[list[str]]]:
    background = Background(lambda: opener(events))
    yield background
    background.close()


async def note(events: list[str], event: str) -> str:
    events.append(event)
    return threading.current_thread().name


def test_work_is_done_on_the_thread_of_the_ledger(background: Background[list[str]], events: list[str]) -> None:
    assert background.wait(lambda ledger: note(ledger, "worked")) == "jangbu-ledger"
    assert events == ["opened", "worked"]


async def test_async_callers_await_the_same_thread(background: Background[list[str]]) -> None:
    assert await background.wait_async(lambda ledger: note(ledger, "worked")) == "jangbu-ledger"


async def test_work_goes_on_where_its_caller_is_cancelled(background: Background[list[str]], events: list[str]) -> None:
    started, may_go_on = threading.Event(), asyncio.Event()

    async def slow(ledger: list[str]) -> None:
        started.set()
        await may_go_on.wait()
        ledger.append("carried through")

    async def let_go_on(ledger: list[str]) -> None:
        may_go_on.set()

    caller = asyncio.create_task(background.wait_async(slow))
    await asyncio.to_thread(started.wait)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await background.wait_async(let_go_on)
    await asyncio.to_thread(background.close)
    assert events == ["opened", "carried through", "closed"]


def test_closing_finishes_what_was_started(background: Background[list[str]], events: list[str]) -> None:
    async def slow(ledger: list[str]) -> None:
        await asyncio.sleep(0.01)
        ledger.append("finished")

    background.detach(background.submit(slow))
    background.wait(lambda ledger: note(ledger, "worked"))
    background.close()
    assert events == ["opened", "worked", "finished", "closed"]


def test_a_closed_meter_says_so(background: Background[list[str]]) -> None:
    background.close()
    background.close()
    with pytest.raises(JangbuError, match="closed"):
        background.wait(lambda ledger: note(ledger, "late"))


def test_a_failure_to_open_reaches_everybody_who_asks() -> None:
    async def fail() -> list[str]:
        raise DatabaseUnreachable("no server")

    @asynccontextmanager
    async def unreachable() -> AsyncIterator[list[str]]:
        yield await fail()

    background: Background[list[str]] = Background(unreachable)
    with pytest.raises(DatabaseUnreachable):
        background.opened().result()
    with pytest.raises(DatabaseUnreachable):
        background.wait(lambda ledger: note(ledger, "never"))
    background.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
def test_a_forked_child_is_told_to_open_its_own_meter(background: Background[list[str]]) -> None:
    background.wait(lambda ledger: note(ledger, "worked"))
    receiving, sending = multiprocessing.get_context("spawn").Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        try:
            background.wait(lambda ledger: note(ledger, "in the child"))
        except JangbuError as error:
            sending.send(str(error))
        background.close()
        os._exit(0)
    assert "forked" in receiving.recv()
    assert os.waitpid(child, 0)[1] == 0
    assert background.wait(lambda ledger: note(ledger, "in the parent")) == "jangbu-ledger"


def test_what_was_started_is_finished_when_the_interpreter_exits() -> None:
    program = """
import asyncio
from contextlib import asynccontextmanager
from jangbu.sdk.background import Background

@asynccontextmanager
async def opened():
    yield None
    print("closed")

async def slow(ledger):
    await asyncio.sleep(0.05)
    print("finished")

background = Background(opened)
background.detach(background.submit(slow))
background.opened().result()
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout.split(), ended.stderr) == (0, ["finished", "closed"], "")
