"""A gateway goes on for everybody else while another transaction keeps one user's balance locked."""

import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import aiohttp
import asyncpg

from jangbu.domain.ledger import account_id
from jangbu.storage import migrate
from jangbu.testing import FakeGemini
from tests.faults.server import killable_server
from tests.faults.waiting import become
from tests.gateway.outage import PATHS, USERS, ledger, prepared, serving
from tests.gateway.stage import asked
from tests.gateway.test_spool import agree, truth

LOCKED, *OTHERS = USERS
CALLERS = 16
CALLS = 10
"""How many answers each of the others gets while the balance is locked."""

Answers = dict[str, list[tuple[int, str]]]
"""What each user was answered: the statuses, and the reasons of those that were refused."""


async def test_others_are_answered_and_its_own_user_is_told_when_to_come_back(
    gemini: FakeGemini, tmp_path: Path
) -> None:
    with killable_server() as server:
        await migrate.upgrade(server.dsn)
        async with prepared(server, tmp_path.name, tmp_path) as (settings, key):
            chosen = settings | {"JANGBU_UPSTREAM_URL": gemini.url}
            async with serving(chosen) as first, serving(chosen) as second:
                answers = await called_while_locked(server.dsn, tmp_path.name, (first, second), key)
            assert {answer for user in OTHERS for answer in answers[user]} == {(200, "")}
            refused = [reason for status, reason in answers[LOCKED] if status != 200]
            assert len(refused) >= CALLS
            assert set(refused) == {"503 UNAVAILABLE DATABASE_UNREACHABLE 5"}
            assert answers[LOCKED][-1][0] == 200
            async with ledger(settings) as metering:
                await agree(metering, tmp_path.name, gemini)
                balances = [await metering.accounts.balance(user) for user in USERS]
                assert sum(balance.used for balance in balances) == sum(truth(gemini).values())
                assert [balance.held for balance in balances] == [0] * len(USERS)
            verified = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "jangbu", "verify", "--full"],
                env={**os.environ, **settings},
                capture_output=True,
                text=True,
                check=False,
            )
            assert verified.returncode == 0, verified.stdout


async def called_while_locked(dsn: str, project: str, urls: tuple[str, ...], key: str) -> Answers:
    """Have everybody call, lock a balance in the midst of that, and let go of it."""
    answers: Answers = defaultdict(list)
    over = asyncio.Event()
    console = await asyncpg.connect(dsn)
    async with asyncio.TaskGroup() as callers, aiohttp.ClientSession(headers={"x-goog-api-key": key}) as http:
        working = [
            callers.create_task(
                call_on(http, urls[number // len(USERS) % 2], USERS[number % len(USERS)], answers, over)
            )
            for number in range(CALLERS)
        ]
        await become(lambda: each_has(answers, USERS, 2))
        async with console.transaction():
            await console.execute(
                "SELECT FROM jangbu.balances WHERE account_id = $1 FOR UPDATE", account_id(project, LOCKED)
            )
            await become(lambda: each_has(answers, (LOCKED,), CALLERS, status=503))
            await become(lambda: all_tell(http, urls))
            before = {user: len(answers[user]) for user in OTHERS}
            await become(lambda: each_has(answers, OTHERS, max(before.values()) + CALLS))
        served = sum(status == 200 for status, _ in answers[LOCKED])
        await become(lambda: each_has(answers, (LOCKED,), served + 2))
        over.set()
        await asyncio.gather(*working)
    await console.close()
    return answers


async def all_tell(http: aiohttp.ClientSession, urls: tuple[str, ...]) -> bool:
    """Tell whether each gateway says that a balance is locked."""
    found: list[float] = []
    for url in urls:
        async with http.get(url + "/metrics") as answer:
            lines = (await answer.text()).splitlines()
        found += [float(line.split()[1]) for line in lines if line.startswith("jangbu_locked_balances")]
    return len(found) == len(urls) and min(found) >= 1


async def each_has(answers: Answers, users: tuple[str, ...] | list[str], number: int, *, status: int = 200) -> bool:
    return all(sum(each == status for each, _ in answers[user]) >= number for user in users)


async def call_on(http: aiohttp.ClientSession, url: str, user: str, answers: Answers, over: asyncio.Event) -> None:
    for number in range(100_000):
        if over.is_set():
            return
        path = url + PATHS[number % 2]
        async with http.post(path, json=asked("hi"), headers={"x-jangbu-user": user}) as answer:
            body = await answer.read()
        reason = "" if answer.status == 200 else told(body, answer.headers.get("retry-after"))
        answers[user].append((answer.status, reason))


def told(body: bytes, retry_after: str | None) -> str:
    error = json.loads(body)["error"]
    return f"{error['code']} {error['status']} {error['details'][0]['reason']} {retry_after}"
