"""What stands in the tables, of the database in memory and of PostgreSQL, in the same shape."""

from collections.abc import Sequence
from typing import Any

from jangbu.storage.database import Connection
from tests.simulation.book import Book

Contents = dict[str, list[tuple[Any, ...]]]

_TABLES = {
    "balances": "account_id, asset, granted, used, held, version",
    "entries": "account_id, asset, seq, kind::text, delta, balance_after, posting, reference, reason",
    "holds": "account_id, id, amount, state::text, may_have_left, reason, closed_at IS NULL",
    "usage": (
        "account_id, id, service_id, model_id, surface::text, platform::text, tier::text, source::text, prompt,"
        "candidates, thoughts, tool, cached, total, cost_nano, input_cost_nano, charge_nano, price_version,"
        "response_id, array_to_string(anomalies, ','), raw::text, metadata::text, hold_amount, late, posting,"
        "money_posting"
    ),
    "idempotency_keys": "account_id, key, digest, result_id",
    "findings": "account_id, usage_id, kind::text, detail, resolved_at IS NULL",
    "grants": "account_id, id, asset, amount, consumed, expired, priority, expires_at",
}


async def contents_of_server(connection: Connection) -> Contents:
    """Read PostgreSQL's tables."""
    return {
        table: _sorted([tuple(row) for row in await connection.fetch(f"SELECT {columns} FROM jangbu.{table}")])
        for table, columns in _TABLES.items()
    }


def contents_of_book(book: Book) -> Contents:
    """Read the tables in memory."""
    found: Contents = {table: [] for table in _TABLES}
    for id_, account in book.accounts.items():
        for asset, balance in account.balances.items():
            found["balances"].append((id_, asset, balance.granted, balance.used, balance.held, balance.version))
            found["entries"] += [(id_, asset, *entry) for entry in balance.entries]
        for hold in account.holds.values():
            if hold.state is not None:
                closed = hold.closed_at is None
                found["holds"].append((id_, hold.id, hold.amount, hold.state, hold.may_have_left, hold.reason, closed))
        for usage in account.usage.values():
            row = usage.row._asdict()
            for name in ("was_held", "key", "digest", "members"):
                del row[name]
            money = (usage.hold_amount, usage.late, usage.posting, usage.money_posting)
            found["usage"].append((*row.values(), *money))
        found["idempotency_keys"] += [(id_, key, each.digest, each.result_id) for key, each in account.keys.items()]
        found["findings"] += [
            (id_, usage_id, kind, each.detail, each.is_open) for (usage_id, kind), each in account.findings.items()
        ]
        for asset, grants in account.grants.items():
            found["grants"] += [
                (id_, each.id, asset, each.amount, each.consumed, each.expired, each.priority, each.expires_at)
                for each in grants.values()
            ]
    return {table: _sorted(rows) for table, rows in found.items()}


def _sorted(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=lambda row: [str(value) for value in row])
