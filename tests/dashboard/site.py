"""A ledger that people look at: users, grants and calls of several months, and the server that shows them."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jangbu.config import Settings
from jangbu.domain.members import Actor, MemberRole
from jangbu.metering.meter import Metering
from jangbu.providers.gemini.parse import parse
from jangbu.storage import reports, usage
from jangbu.testing import SettableClock
from jangbu.wiring import open_metering
from tests.ports import free_port

PASSWORD = "correct horse battery staple"
OWNER, FINANCE, DEVELOPER, VIEWER = (role.value for role in MemberRole)
"""The members: one of each role, named after it."""
USERS = ("kim", "lee", "a/b?c=d&e", "<script>alert(1)</script>", '=HYPERLINK("x")', "이서연")
MODELS = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-9-unpriced")
SERVICES = ("text_generation", "image_generation", "chat")
FEATURES = ("writing", "그림")
CALLS = 400
DAYS = 60


@dataclass(frozen=True)
class Site:
    """Where the dashboard is, and the ledger that it shows."""

    url: str
    database_url: str
    call: str
    """The latest call of the first user."""
    log: Path
    """What the server writes down."""
    process: "subprocess.Popen[bytes]"


async def fill(database_url: str) -> str:
    """Open accounts, grant tokens and record calls over the last days, at all hours, and let two members in.

    Give the id of the first user's latest call.
    """
    now = datetime.now(UTC)
    clock = SettableClock(now)
    settings = Settings.load(database_url=database_url)
    dice = random.Random(7)
    async with open_metering(settings, clock=clock, delivers=False) as ledger:
        months = {(now - timedelta(days=day)).replace(day=1, hour=0) for day in range(0, DAYS + 31, 10)}
        await usage.make_partitions(ledger.database, sorted(months))
        for user in USERS:
            await ledger.accounts.create(user)
            await ledger.accounts.grant(user, 1_000_000_000, key="first")
        for number in range(CALLS):
            clock.set(now - timedelta(minutes=dice.randrange(DAYS * 24 * 60)))
            await _record(ledger, dice, number)
        clock.set(now)
        await let_in_members(ledger)
        [latest] = await reports.calls(ledger.database, ledger.accounts.id_of(USERS[0]), None, 1)
        return str(latest.id)


async def let_in_members(ledger: Metering) -> None:
    """Make a member of each role, with the same password."""
    for role in MemberRole:
        _, link = await ledger.members.invite(role.value, role, Actor.of_command("test"))
        await ledger.members.set_up(link.token, role.value, PASSWORD)


async def _record(ledger: Metering, dice: random.Random, number: int) -> None:
    prompt, cached, thoughts = dice.randrange(10, 5_000), dice.randrange(10), dice.randrange(0, 900)
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}}],
        "usageMetadata": {
            "promptTokenCount": prompt,
            "cachedContentTokenCount": cached,
            "candidatesTokenCount": 300,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": prompt + 300 + thoughts,
        },
        "modelVersion": dice.choice(MODELS),
        "responseId": f"answer-{number}",
    }
    # The first users are the busiest, as they are everywhere.
    user = USERS[min(dice.randrange(len(USERS)), dice.randrange(len(USERS)))]
    metadata = {"page": "<b>1</b>", "tags": {"feature": FEATURES[number % len(FEATURES)]}}
    await ledger.record(user, dice.choice(SERVICES), parse(json.dumps(answer).encode()), metadata=metadata)


@contextmanager
def serving(database_url: str, folder: Path, call: str = "", **environment: str) -> Iterator[Site]:
    """Serve the dashboard from a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JANGBU_", "GEMINI_"))}
    log = (folder / "serve.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "jangbu", "serve", "--port", str(port := free_port())],
        cwd=folder,
        env={**kept, "JANGBU_DATABASE_URL": database_url, "JANGBU_SPOOL_DIR": str(folder / "spool"), **environment},
        stdout=subprocess.PIPE,
        stderr=log,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), (folder / "serve.log").read_text()
        yield Site(f"http://localhost:{port}", database_url, call, folder / "serve.log", process)
    finally:
        process.terminate()
        process.communicate(timeout=30)
        log.close()
