"""Exports whose client leaves before their first page is there: they end, and are in nobody's way."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from jangbu.domain.keys import Role
from jangbu.errors import DatabaseUnreachable
from jangbu.storage import exports
from tests.api.rest.stage import Stage

_AT_ONCE = 8


class Endless:
    """Reads that end only when they are given up, or when the test is over."""

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.over = asyncio.Event()

    async def __call__(self, *_: Any) -> Any:
        self.begun += 1
        try:
            await self.over.wait()
            return []
        finally:
            self.ended += 1


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what happens elsewhere tells nobody
            await asyncio.sleep(0.01)


async def test_exports_that_are_given_up_before_they_begin_end_and_leave_room(
    api: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    endless, real = Endless(), exports.calls
    monkeypatch.setattr(exports, "calls", endless)
    headers = {"authorization": f"Bearer {api.secrets[Role.OWNER]}"}
    async with aiohttp.ClientSession() as leaving:
        asked = [
            asyncio.create_task(_asked(leaving.get(f"{api.url}/api/v1/exports/calls", headers=headers)))
            for _ in range(_AT_ONCE)
        ]
        await until(lambda: endless.begun == _AT_ONCE)
        assert (await api.get("/exports/calls")).code == "limit_reached"
        for each in asked:
            each.cancel()
        await asyncio.wait(asked)
    try:
        await until(lambda: endless.ended == _AT_ONCE)
    finally:
        endless.over.set()
    monkeypatch.setattr(exports, "calls", real)
    assert (await api.file("/exports/calls"))[0].startswith(b"user,id,")
    assert [each.getMessage() for each in caplog.records if each.levelname in {"WARNING", "ERROR"}] == []


async def _asked(answer: Any) -> None:
    await answer


async def test_what_goes_wrong_before_the_first_page_is_answered_with_its_status(
    api: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*given: Any) -> Any:
        raise DatabaseUnreachable("PostgreSQL does not answer")

    monkeypatch.setattr(exports, "calls", away)
    for _ in range(_AT_ONCE + 1):
        refused = await api.get("/exports/calls")
        assert (refused.status, refused.code) == (503, "database_unreachable")
