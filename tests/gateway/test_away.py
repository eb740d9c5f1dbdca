"""A gateway whose database is away for a while keeps what it promises: nobody calls on credit, and nothing is lost.

The database is away for ``JANGBU_OUTAGE_SECONDS``; where they are few, so are the seconds that a call waits for a hold.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jangbu.storage import migrate
from jangbu.testing import FakeGemini
from tests.faults.gate import gate
from tests.faults.server import KillableServer, killable_server
from tests.gateway.outage import CALLERS, USERS, Outage, ledger, prepared, serving
from tests.gateway.test_spool import agree, truth

SECONDS = float(os.environ.get("JANGBU_OUTAGE_SECONDS", "6"))
SHORT = {"JANGBU_HOLD_WAIT_SECONDS_MAX": "1", "JANGBU_SPOOL_AFTER_SECONDS": "1"} if SECONDS < 30 else {}


@pytest.fixture(scope="module")
def server() -> Iterator[KillableServer]:
    with killable_server() as server:
        asyncio.run(migrate.upgrade(server.dsn))
        yield server


async def test_a_gateway_without_its_database_calls_for_nobody_and_loses_nothing(
    server: KillableServer, gemini: FakeGemini, tmp_path: Path
) -> None:
    async with gate(gemini.url) as gated, prepared(server, tmp_path.name, tmp_path) as (settings, key):
        async with serving(settings | SHORT | {"JANGBU_UPSTREAM_URL": gated.url}) as url:
            figures = await Outage(url, key, server, gated, gemini).run(SECONDS)
        assert set(figures.statuses) == {200, 503}
        assert figures.under_way >= CALLERS // 2, "what was under way is answered"
        assert figures.sent_unheld == 0, "nothing is sent that is not held for"
        assert figures.refused >= CALLERS
        for body, retry_after in figures.refusals:
            error = json.loads(body)["error"]
            assert (error["code"], error["status"], retry_after) == (503, "UNAVAILABLE", "5")
            assert error["details"][0]["reason"] in ("DATABASE_UNREACHABLE", "KEY_UNKNOWN")
        assert set(figures.bodies) == set(truth(gemini)), "every answer came whole, and none without its call"
        async with ledger(settings) as metering:
            await agree(metering, tmp_path.name, gemini)
            balances = [await metering.accounts.balance(user) for user in USERS]
            assert sum(balance.used for balance in balances) == sum(truth(gemini).values())
            assert [balance.held for balance in balances] == [0] * len(USERS)
    verifying = [sys.executable, "-m", "jangbu", "verify", "--full"]
    verified = await asyncio.to_thread(
        subprocess.run, verifying, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stdout
