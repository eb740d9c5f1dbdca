"""The bank test: at any moment, in one snapshot, every account adds up."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import asyncpg

from tests.torture.tally import Tally

__all__ = ["Bank", "look"]

_PAUSE_SECONDS = 0.5
_SHARE = 5
"""After a look that took long, the bank rests so many times as long."""

_ACCOUNTS = """
SELECT
    a.user_id, b.granted, b.used, b.held, b.version, u.tokens, u.debt, h.tokens AS on_hold, e.entries, e.latest, e.sum,
    e.granted AS entered, e.steps
FROM jangbu.accounts AS a
JOIN jangbu.balances AS b ON b.account_id = a.account_id AND b.asset = 1
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(total), 0)::bigint AS tokens,
        coalesce(sum(greatest(total - coalesce(hold_amount, 0), 0)), 0)::bigint AS debt
    FROM jangbu.usage WHERE account_id = a.account_id
) AS u
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount), 0)::bigint AS tokens
    FROM jangbu.holds WHERE account_id = a.account_id AND state IN ('open', 'unknown')
) AS h
CROSS JOIN LATERAL (
    SELECT
        count(*) AS entries, coalesce(max(seq), 0) AS latest, coalesce(sum(delta), 0)::bigint AS sum,
        coalesce(sum(delta) FILTER (WHERE kind = 'grant'), 0)::bigint AS granted,
        count(*) FILTER (WHERE balance_after <> running) AS steps
    FROM (
        SELECT seq, delta, kind, balance_after, sum(delta) OVER (ORDER BY seq) AS running
        FROM jangbu.entries WHERE account_id = a.account_id AND asset = 1
    ) AS entry
) AS e
"""


def _wrong(row: asyncpg.Record) -> Sequence[str]:
    found: list[str] = []
    user, left = row["user_id"], row["granted"] - row["used"] - row["held"]
    if row["used"] != row["tokens"]:
        found.append(f"{user}: {row['used']} tokens are used by the balance, {row['tokens']} by the records")
    if row["held"] != row["on_hold"]:
        found.append(f"{user}: {row['held']} tokens are held by the balance, {row['on_hold']} by the holds")
    if left < -row["debt"]:
        found.append(f"{user}: {left} tokens are left, and records exceed their holds by {row['debt']}")
    if not row["entries"] == row["latest"] == row["version"]:
        found.append(f"{user}: {row['entries']} entries, the latest of number {row['latest']} of {row['version']}")
    if row["steps"] or row["sum"] != row["granted"] - row["used"] or row["entered"] != row["granted"]:
        found.append(f"{user}: the entries come to {row['sum']}, the balance to {row['granted'] - row['used']}")
    return found


async def look(connection: asyncpg.Connection) -> tuple[list[str], int]:
    """Look at all accounts in one snapshot; give what is wrong, and the least that is left to anybody."""
    rows = await connection.fetch(_ACCOUNTS)
    least = min((row["granted"] - row["used"] - row["held"] for row in rows), default=0)
    return [wrong for row in rows for wrong in _wrong(row)], least


class Bank:
    """Looks again and again, over a connection that nobody disturbs but for the restarts."""

    def __init__(self, dsn: str, tally: Tally) -> None:
        self._dsn = dsn
        self._tally = tally

    async def watch(self) -> None:
        """Look until cancelled. While the database is away there is nothing to see."""
        while True:
            began = time.monotonic()
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await self._look()
            await asyncio.sleep(max(_PAUSE_SECONDS, _SHARE * (time.monotonic() - began)))

    async def _look(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=5)
        try:
            wrong, least = await look(connection)
        finally:
            connection.terminate()
        self._tally.looked(least)
        # The fake never counts more than was held for, so nobody's balance has a reason to be below zero.
        if least < 0:
            self._tally.found(f"look {self._tally.looks}: {least} tokens are left to somebody")
        for each in wrong:
            self._tally.drift += 1
            self._tally.found(f"look {self._tally.looks}: {each}")
