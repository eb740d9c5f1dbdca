"""What the gateway's tests ask of the ledger: that it adds up, and what stands in it."""

from dataclasses import dataclass
from typing import Any

from jangbu.metering.evidence import restated
from jangbu.metering.verify import Verification
from tests.gateway.stage import Stage


@dataclass(frozen=True)
class Record:
    """One record of usage."""

    id: str
    user: str
    service: str
    model: str
    tokens: int
    surface: str


async def require_sound(served: Stage) -> None:
    """Whatever a test did, the book adds up, and each record says by which key its call came."""
    ledger = served.ledger
    report = await Verification(ledger.database, "default").run(recompute=ledger.pricing.reprice, restate=restated)
    assert report.mismatches == ()
    query = "SELECT id FROM jangbu.usage WHERE metadata ->> 'jangbu_key' IN (SELECT key_id::text FROM jangbu.api_keys)"
    assert await asked(served, f"SELECT id FROM jangbu.usage EXCEPT {query}") == []


async def records(served: Stage, user: str = "kim") -> list[Record]:
    """Give the records of a user, the oldest first."""
    rows = await asked(
        served,
        "SELECT t.id::text, t.user_id, t.service_type, t.model_name, t.total_tokens, u.surface::text"
        " FROM jangbu.token_usage AS t JOIN jangbu.usage AS u USING (id) WHERE t.user_id = $1 ORDER BY t.id",
        user,
    )
    return [Record(*tuple(row)) for row in rows]


async def holds(served: Stage) -> list[str]:
    """Give the states of the holds that are not settled."""
    return [row["state"] for row in await asked(served, "SELECT state::text FROM jangbu.holds ORDER BY id")]


async def findings(served: Stage) -> list[str]:
    """Give the kinds of the findings that are open."""
    query = "SELECT kind::text FROM jangbu.findings WHERE resolved_at IS NULL ORDER BY 1"
    return [row["kind"] for row in await asked(served, query)]


async def asked(served: Stage, query: str, *values: object) -> Any:
    """Ask the database itself."""
    async with served.ledger.database.connection() as connection:
        return await connection.fetch(query, *values)


def came(served: Stage, *, since: int = 0) -> list[str]:
    """Give what came to the provider: method and target of each request."""
    return [f"{request.method} {request.target}" for request in served.gemini.requests()[since:]]
