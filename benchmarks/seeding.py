"""A ledger with as many calls as are asked for, made by the database itself: what pages are measured on.

The book is sound: usage, entries, balances and rollups are as the recorder and the sweeper would have left them, and
`jangbu verify --full` finds nothing. What is missing is what calls leave beside the book: the keys of their answers.
Users are drawn by Zipf, so the first makes about 7% of all calls. What is made goes on where it was stopped.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from jangbu.clock import SystemClock
from jangbu.domain.ledger import account_id
from jangbu.domain.pricing import cost
from jangbu.domain.usage import Platform, Source, Surface, Tier, Units
from jangbu.metering.pricing import Pricing
from jangbu.metering.rollups import Rollups
from jangbu.providers.gemini import restate
from jangbu.storage import usage
from jangbu.storage.chaining import complete_chains
from jangbu.storage.database import Database
from jangbu.storage.names import Names

__all__ = ["Seed", "seed"]

Tell = Callable[[int], None]

DAYS = 120
_DAY_SQL = Path(__file__).with_name("seeding.sql").read_text()
_KINDS = (
    ("text_generation", "gemini-2.5-flash", 300),
    ("text_generation", "gemini-2.5-pro", 120),
    ("text_generation", "gemini-2.5-flash-lite", 100),
    ("chat", "gemini-2.5-flash", 120),
    ("chat", "gemini-2.5-flash-lite", 90),
    ("chat", "gemini-2.5-pro", 60),
    ("summary", "gemini-2.5-flash-lite", 80),
    ("summary", "gemini-2.0-flash", 50),
    ("translation", "gemini-2.0-flash", 40),
    ("translation", "gemini-2.5-flash", 29),
    ("image_prompt", "gemini-2.5-flash", 10),
    ("image_prompt", "gemini-99-preview", 1),
)
"""Services, models, and how many of a thousand calls are of each; the last model has no price."""
_THINKS = frozenset({"gemini-2.5-pro", "gemini-2.5-flash"})
_SCHEMA = """
CREATE SCHEMA seed;
CREATE FUNCTION seed.uniform(n bigint, salt integer) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (hashint8extended(n, salt) & 9007199254740991)::float8 / 9007199254740992
$$;
CREATE FUNCTION seed.id_of(at timestamptz, n bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (
        lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || lpad(to_hex(hashint8extended(n, 6) & 4095), 3, '0') || '8' || lpad(to_hex(n), 15, '0')
    )::uuid
$$;
CREATE TABLE seed.project (
    name text NOT NULL, rows bigint NOT NULL, users integer NOT NULL, ends_at timestamptz NOT NULL
);
CREATE TABLE seed.users (
    rank integer PRIMARY KEY, account_id uuid NOT NULL UNIQUE, user_id text NOT NULL, granted bigint NOT NULL,
    used bigint NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 1, seen_at timestamptz
) WITH (fillfactor = 50);
CREATE TABLE seed.kinds (
    first float8, next float8, service_id smallint, model_id integer, input bigint, cached_input bigint, output bigint,
    price_version integer, thinks boolean
);
CREATE TABLE seed.days (day date PRIMARY KEY);
"""
_OPEN = """
INSERT INTO jangbu.accounts (account_id, project, user_id, created_at)
SELECT u.account_id, p.name, u.user_id, $1 FROM seed.users AS u CROSS JOIN seed.project AS p
"""
_GRANT = """
WITH granted AS (
    INSERT INTO jangbu.grants (account_id, id, asset, amount, source, created_at)
    SELECT account_id, gen_random_uuid(), 1, granted, 'purchase', $1 FROM seed.users
)
INSERT INTO jangbu.entries (account_id, asset, seq, kind, delta, balance_after, created_at)
SELECT account_id, 1, 1, 'grant', granted, granted, $1 FROM seed.users
"""
_CLOSE = """
WITH kept AS (
    SELECT
        u.account_id, u.granted, u.used, u.version + 1 AS version, u.seen_at,
        u.used * s.parts / 10 + s.parts * 100 AS left_over
    FROM seed.users AS u
    CROSS JOIN LATERAL (SELECT greatest(0, floor(seed.uniform(u.rank, 7) * 12)::integer - 1) AS parts) AS s
),
entered AS (
    INSERT INTO jangbu.entries (account_id, asset, seq, kind, delta, balance_after, reason, created_at)
    SELECT account_id, 1, version, 'adjustment', left_over - (granted - used), left_over, 'what was not bought', $1
    FROM kept
)
INSERT INTO jangbu.balances (account_id, asset, granted, used, version, head, seen_at, updated_at)
SELECT account_id, 1, used + left_over, used, version, NULL, seen_at, $1 FROM kept
"""
_GRANTED = 10**12


@dataclass(frozen=True, slots=True)
class Seed:
    """How many calls of how many users, and when the last of them was made."""

    rows: int
    users: int
    ends_at: datetime

    @property
    def first_day(self) -> datetime:
        """The first day of UTC with calls."""
        midnight = self.ends_at.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=DAYS - 1)

    def before(self, at: datetime) -> int:
        """Tell how many calls are made before a moment."""
        passed = min(at, self.ends_at) - self.first_day
        return self.rows * (passed // timedelta(seconds=1)) // ((self.ends_at - self.first_day) // timedelta(seconds=1))


async def seed(dsn: str, project: str, rows: int, users: int, *, seconds: float = 1e9, tell: Tell = print) -> bool:
    """Make the calls, or go on with it for so many seconds at least; tell whether all is done.

    Raises ValueError for a project that has users of its own, or that was begun with other numbers.
    """
    database = await Database.connect(dsn)
    connection = await asyncpg.connect(dsn, server_settings={"synchronous_commit": "off", "work_mem": "128MB"})
    try:
        begun = await _begin(database, connection, project, rows, users)
        end = time.monotonic() + seconds
        for number in range(DAYS):
            if time.monotonic() > end:
                return False
            day = begun.first_day + timedelta(days=number)
            await _make_day(connection, begun, day)
            tell(begun.before(day + timedelta(days=1)))
        return await _finish(database, connection, begun, end)
    finally:
        await connection.close()
        await database.close()


async def _begin(
    database: Database, connection: "asyncpg.Connection[Any]", project: str, rows: int, users: int
) -> Seed:
    """Open the accounts with their grants, or read what was begun."""
    if await connection.fetchval("SELECT to_regclass('seed.project')") is not None:
        found = await connection.fetchrow("SELECT rows, users, ends_at, name FROM seed.project")
        if (found["rows"], found["users"], found["name"]) != (rows, users, project):
            raise ValueError(f"this ledger was begun with {found['rows']:,} calls of {found['users']:,} users")
        return Seed(rows, users, found["ends_at"].astimezone(UTC))
    if await connection.fetchval("SELECT EXISTS (SELECT FROM jangbu.accounts)"):
        raise ValueError("there are accounts in this ledger: calls are made up in an empty one only")
    begun = Seed(rows, users, datetime.now(UTC).replace(microsecond=0))
    pricing = Pricing(database, SystemClock(), project=project)
    await pricing.refresh()
    kinds = await _kinds(database, pricing, begun)
    months = {begun.first_day + timedelta(days=number) for number in range(DAYS)}
    await usage.make_partitions(database, sorted(months))
    async with connection.transaction():
        await connection.execute(_SCHEMA)
        await connection.execute(
            "INSERT INTO seed.project VALUES ($1, $2, $3, $4)", project, rows, users, begun.ends_at
        )
        named = [(rank, f"user-{rank:06}") for rank in range(1, users + 1)]
        await connection.copy_records_to_table(
            "users",
            schema_name="seed",
            records=((rank, account_id(project, user), user, _GRANTED) for rank, user in named),
            columns=("rank", "account_id", "user_id", "granted"),
        )
        await connection.executemany("INSERT INTO seed.kinds VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", kinds)
        await connection.execute(_OPEN, begun.first_day)
        await connection.execute(_GRANT, begun.first_day)
    return begun


async def _kinds(database: Database, pricing: Pricing, begun: Seed) -> list[tuple[Any, ...]]:
    """Give what calls there are: which part of all, of what, and what a token of each sort costs, in nano-USD."""
    services, models = Names(database, "service"), Names(database, "model")
    await services.learn([service for service, _, _ in _KINDS])
    await models.learn([model for _, model, _ in _KINDS])
    found, first = [], 0
    for service, model, parts in _KINDS:
        prices = [
            _price(pricing, model, begun.ends_at, **counts)
            for counts in ({"prompt": 1000}, {"prompt": 1000, "cached": 1000}, {"candidates": 1000})
        ]
        version = None if None in prices else pricing.in_force.version
        numbers = (services[service], models[model])
        found.append((first / 1000, (first + parts) / 1000, *numbers, *prices, version, model in _THINKS))
        first += parts
    return found


def _price(
    pricing: Pricing, model: str, at: datetime, *, prompt: int = 0, cached: int = 0, candidates: int = 0
) -> int | None:
    """Give what a token of a sort costs, from what a thousand do."""
    raw = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": cached,
        "candidatesTokenCount": candidates,
        "totalTokenCount": prompt + candidates,
    }
    reported = restate(
        Surface.GENERATE_CONTENT, [raw], Platform.GEMINI_API, model, Tier.STANDARD, Units(), source=Source.REPORTED
    )
    amount = cost(pricing.in_force.book, reported, at).amount_nano
    assert amount is None or amount % 1000 == 0, f"a token of {model} costs a whole number of nano-USD"
    return None if amount is None else amount // 1000


async def _make_day(connection: "asyncpg.Connection[Any]", begun: Seed, day: datetime) -> None:
    async with connection.transaction():
        made = "INSERT INTO seed.days VALUES ($1) ON CONFLICT DO NOTHING RETURNING day"
        if await connection.fetchval(made, day.date()) is None:
            return
        end = min(day + timedelta(days=1), begun.ends_at)
        quarter_day = begun.ends_at.replace(hour=begun.ends_at.hour // 6 * 6, minute=0, second=0)
        first, after = begun.before(day), begun.before(end)
        if first < after:
            await connection.fetchval(
                _DAY_SQL,
                first,
                after,
                day,
                float((end - day).seconds or 86_400),
                begun.users,
                quarter_day,
                begun.ends_at.replace(minute=0, second=0),
            )


async def _finish(database: Database, connection: "asyncpg.Connection[Any]", begun: Seed, end: float) -> bool:
    """Write the balances, chain the entries, list the users and have the tables analyzed; False where time is up."""
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM jangbu.balances)"):
        async with connection.transaction():
            await connection.execute(_CLOSE, begun.ends_at)
            await connection.execute("INSERT INTO jangbu.unfinished (work) VALUES ('chain')")
    if time.monotonic() > end:
        return False
    await complete_chains(connection)
    await Rollups(database).carry()
    await connection.execute("VACUUM (ANALYZE)")
    return True
