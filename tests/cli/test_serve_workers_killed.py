"""Workers that are killed while clients call without pause: what a client has is recorded once, and nothing else is.

It takes about 30 s.
"""

import asyncio
import json
import os
import random
import signal
import threading
import time
import urllib.error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

import asyncpg
import pytest

from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import FLASH, UPSTREAM_KEY, Service, eventually, serving

SEED = 20_270_204
KILLS = 12
CLIENTS = 16
GRANT = 500_000_000
USERS = ("lee", "park")
UNARY = f"/v1beta/models/{FLASH}:generateContent"
STREAM = f"/v1beta/models/{FLASH}:streamGenerateContent?alt=sse"

SUMS = """
    SELECT user_id, used, held,
        (SELECT coalesce(jangbu.sum(total), 0) FROM jangbu.usage WHERE account_id = balances.account_id),
        (SELECT coalesce(jangbu.sum(amount), 0) FROM jangbu.holds WHERE account_id = balances.account_id)
    FROM jangbu.balances JOIN jangbu.accounts USING (account_id) WHERE asset = 1 AND user_id = ANY($1)
"""

Usage = Mapping[str, int]


@dataclass(eq=False)
class Client(threading.Thread):
    """Calls without pause until it is told to end, and keeps the usage of each answer that it has whole."""

    service: Service
    user: str
    dice: random.Random
    has_to_end: threading.Event
    whole: dict[str, Usage] = field(default_factory=dict)
    broken: int = 0
    refused: list[tuple[int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        while not self.has_to_end.is_set():
            path = self.dice.choice((UNARY, STREAM))
            headers = {"x-jangbu-user": self.user}
            try:
                status, body, _ = self.service.ask(self.service.request(path, "tell me", **headers))
            except (OSError, HTTPException, urllib.error.URLError):
                self.broken += 1
                continue
            if status == 200:
                answer = json.loads(body if path == UNARY else body.strip().rpartition(b"data: ")[2])
                self.whole[answer["responseId"]] = answer["usageMetadata"]
            else:
                self.refused.append((status, body))


@contextmanager
def calling(service: Service, dice: random.Random) -> Iterator[list[Client]]:
    """Have clients call until the block ends."""
    has_to_end = threading.Event()
    clients = [
        Client(service, USERS[number % len(USERS)], random.Random(dice.random()), has_to_end)
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        has_to_end.set()
        for client in clients:
            client.join()


def kill_workers(service: Service, dice: random.Random) -> None:
    """Kill one worker after another, at any moment of its life."""
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.2, 1.8))
        eventually(service.workers)
        os.kill(dice.choice(sorted(service.workers())), signal.SIGKILL)


async def asked(database_url: str, query: str, *values: object) -> list[Any]:
    connection = await asyncpg.connect(database_url)
    try:
        return list(await connection.fetch(query, *values))
    finally:
        await connection.close()


def counts(usage: Usage) -> tuple[int, ...]:
    """Give the counts of a usage object as they are recorded."""
    return tuple(
        usage.get(name, 0)
        for name in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount")
    )


@pytest.mark.timeout(180)
def test_what_a_client_has_whole_is_recorded_once_whoever_is_killed(jangbu: Jangbu, database_url: str) -> None:
    dice = random.Random(SEED)
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini:
        gemini.when("chunks=5; chunk_delay=0.02", path="stream")
        with serving(jangbu, "--workers", "2", "--log-format", "json", gemini=gemini) as service:
            for user in USERS:
                jangbu.ok("accounts", "create", user)
                jangbu.ok("grant", user, str(GRANT), "--key", user)
            with calling(service, dice) as clients:
                kill_workers(service, dice)
                eventually(lambda: len(service.workers()) == 2)
                time.sleep(1)
            died = service.lines_that(lambda line: "worker.died" in line.get("message", ""))
            assert service.stop() == 0
        answered = {answer.response_id: counts(answer.counted) for answer in gemini.answers() if answer.counted}
    assert len(died) == KILLS

    rows = asyncio.run(asked(database_url, "SELECT response_id, prompt, candidates, thoughts, total FROM jangbu.usage"))
    recorded = {row["response_id"]: tuple(row)[1:] for row in rows}
    whole = {answer: counts(usage) for client in clients for answer, usage in client.whole.items()}
    broken = sum(client.broken for client in clients)
    assert [refusal for client in clients for refusal in client.refused] == []
    assert len(whole) > 100
    assert broken >= KILLS / 2, "the kills met calls"

    assert len(rows) == len(recorded), "each answer is recorded once"
    assert {answer: recorded.get(answer) for answer in whole} == whole, "what a client has whole is recorded"
    assert recorded.items() <= answered.items(), "nothing is recorded that was not answered"

    holds = asyncio.run(asked(database_url, "SELECT state::text FROM jangbu.holds"))
    assert {hold["state"] for hold in holds} <= {"open", "unknown"}
    assert len(answered) - len(recorded) <= len(holds) <= broken, "what is not recorded is held"
    for user, used, held, records, on_hold in asyncio.run(asked(database_url, SUMS, USERS)):
        assert (used, held) == (records, on_hold)
        balance = jangbu.json("balance", user)
        assert (balance["balance"], balance["available"]) == (GRANT, GRANT - records - on_hold)
    assert jangbu.json("verify", "--full")["ok"] is True
