"""The guide's own design, as its document has it: insert the usage, then deduct it, as two transactions.

It gets what it would have in practice: the driver that Jangbu uses, a pool of connections, and a key on the balance.
"""

from uuid import UUID

import asyncpg

TABLES = """
CREATE SCHEMA guide;
CREATE TABLE guide.user_tokens (
    user_id uuid PRIMARY KEY, balance bigint NOT NULL, used_tokens bigint NOT NULL DEFAULT 0
);
CREATE TABLE guide.token_usage (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES guide.user_tokens (user_id),
    service_type varchar(50) NOT NULL,
    model_name varchar(100) NOT NULL,
    prompt_tokens integer NOT NULL,
    completion_tokens integer NOT NULL,
    total_tokens integer NOT NULL,
    api_cost decimal(10, 6),
    created_at timestamp DEFAULT now(),
    metadata jsonb
);
"""
INSERT = """
INSERT INTO guide.token_usage
    (user_id, service_type, model_name, prompt_tokens, completion_tokens, total_tokens, api_cost, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7::bigint / 1000000000.0, $8)
"""
DEDUCT = "UPDATE guide.user_tokens SET used_tokens = used_tokens + $2 WHERE user_id = $1"


async def make_tables(dsn: str, users: list[UUID]) -> None:
    """Make the guide's tables with one balance a user."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(TABLES)
    await connection.executemany(
        "INSERT INTO guide.user_tokens VALUES ($1, 1000000000000)", [(user,) for user in users]
    )
    await connection.close()


async def _keep_session(_connection: object) -> None:
    """Do nothing when a connection comes back, as Jangbu's pool does."""


class GuideDesign:
    """``recordTokenUsage`` of the guide, in Python."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    @classmethod
    async def open(cls, dsn: str, connections: int, *, tuned: bool) -> "GuideDesign":
        """Connect as an app does, or (tuned) without the round trip that resets a session when it comes back."""
        options = {"reset": _keep_session} if tuned else {}
        return cls(await asyncpg.create_pool(dsn, min_size=connections, max_size=connections, **options))

    async def record(self, user: UUID, prompt: int, completion: int, total: int, cost_nano: int, metadata: str) -> None:
        """Record one call's usage, then deduct it."""
        await self.pool.execute(
            INSERT, user, "text_generation", "gemini-2.5-flash", prompt, completion, total, cost_nano, metadata
        )
        await self.pool.execute(DEDUCT, user, total)

    async def close(self) -> None:
        """Close the connections."""
        await self.pool.close()
