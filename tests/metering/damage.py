"""What may go wrong with a book, each with the invariant that it breaks."""

from jangbu.metering.verify import Invariant
from tests.metering.traffic import KIM, PROJECT

COLUMNS = (
    "calls", "prompt", "candidates", "thoughts", "tool", "cached", "total", "cost_nano", "input_cost_nano",
    "charge_nano", "unpriced",
)  # fmt: skip
OF_KIM = f"account_id = (SELECT account_id FROM jangbu.accounts WHERE user_id = '{KIM}' AND project = '{PROJECT}')"
A_CALL = f"{OF_KIM} AND id = (SELECT id FROM jangbu.usage WHERE {OF_KIM} AND total > 0 ORDER BY id LIMIT 1)"
_TIME = "jangbu.uuid7_time(u.id)"
_QUARTER = f"date_bin('15 minutes', {_TIME}, '2000-01-01Z')"
KEYS = {
    "usage_lifetime": "TRUE",
    "usage_recent": f"r.at = {_QUARTER}",
    "usage_quarters": f"r.at = {_QUARTER}",
    "usage_hours": f"r.at = date_trunc('hour', {_TIME}, 'UTC')",
    "usage_six_hours": f"r.at = date_bin('6 hours', {_TIME}, '2000-01-01Z')",
    "usage_days": f"r.day = ({_TIME} AT TIME ZONE 'UTC')::date",
    "project_recent": f"r.at = date_trunc('minute', {_TIME}, 'UTC')",
    "project_minutes": f"r.at = date_trunc('minute', {_TIME}, 'UTC')",
    "project_quarters": f"r.at = {_QUARTER}",
    "project_hours": f"r.at = date_trunc('hour', {_TIME}, 'UTC')",
    "project_six_hours": f"r.at = date_bin('6 hours', {_TIME}, '2000-01-01Z')",
    "project_days": f"r.at = date_trunc('day', {_TIME}, 'UTC')",
}
"""The rollups, and which of their rows a call went into."""
LASTING = [table for table in KEYS if not table.endswith("recent")]
DAMAGE_OF = {
    table: {Invariant.TOTALS}
    if table == "usage_lifetime"
    else {Invariant.TOTALS, Invariant.DAILY}
    if table == "usage_recent"
    else {Invariant.DAILY if table.startswith("usage") else Invariant.HOURLY}
    for table in KEYS
}


def of_a_call(table: str) -> str:
    """Give the clause that names the one row of a rollup that the first call went into which has any there."""
    clauses = [KEYS[table]]
    if table != "usage_days":
        clauses.append("r.service_id = u.service_id AND r.model_id = u.model_id")
    if table.startswith("usage"):
        clauses.append("r.account_id = u.account_id")
    if table == "project_recent":
        clauses.append("r.writer = (SELECT min(writer) FROM jangbu.project_recent WHERE at = r.at)")
    row = " AND ".join(clauses)
    return (
        f"FROM jangbu.usage AS u WHERE {row} AND u.id = (SELECT u.id FROM jangbu.usage AS u JOIN jangbu.{table} AS r"
        f" ON {row} WHERE u.{OF_KIM} AND u.total > 0 ORDER BY u.id LIMIT 1)"
    )


DAMAGE = {
    "used is raised": (Invariant.BALANCES, f"UPDATE jangbu.balances SET used = used + 1 WHERE {OF_KIM} AND asset = 1"),
    "granted is raised": (
        Invariant.BALANCES,
        f"UPDATE jangbu.balances SET granted = granted + 1 WHERE {OF_KIM} AND asset = 1",
    ),
    "money used is lowered": (
        Invariant.BALANCES,
        f"UPDATE jangbu.balances SET used = used - 1 WHERE {OF_KIM} AND asset = 2",
    ),
    "both are raised": (
        Invariant.BALANCES,
        f"UPDATE jangbu.balances SET used = used + 1, granted = granted + 1 WHERE {OF_KIM} AND asset = 1",
    ),
    "held is lowered": (Invariant.HELD, f"UPDATE jangbu.balances SET held = held - 1 WHERE {OF_KIM} AND asset = 1"),
    "money is held": (Invariant.HELD, f"UPDATE jangbu.balances SET held = 1 WHERE {OF_KIM} AND asset = 2"),
    "an unknown hold is gone": (Invariant.HELD, f"DELETE FROM jangbu.holds WHERE {OF_KIM} AND state = 'unknown'"),
    "a released hold is open again": (
        Invariant.HELD,
        f"UPDATE jangbu.holds SET state = 'open' WHERE {OF_KIM} AND state = 'released'",
    ),
    "the version is ahead": (
        Invariant.ENTRIES,
        f"UPDATE jangbu.balances SET version = version + 1 WHERE {OF_KIM} AND asset = 1",
    ),
    "a number is left out": (
        Invariant.ENTRIES,
        f"UPDATE jangbu.entries SET seq = seq + 1000 WHERE {OF_KIM} AND asset = 1 AND seq > 3",
    ),
    "a running balance is off": (
        Invariant.ENTRIES,
        f"UPDATE jangbu.entries SET balance_after = balance_after + 1 WHERE {OF_KIM} AND asset = 1 AND seq = 3",
    ),
    "the last running balance is off": (
        Invariant.ENTRIES,
        (
            f"UPDATE jangbu.entries SET balance_after = balance_after + 1 WHERE {OF_KIM} AND asset = 2 AND seq ="
            f" (SELECT max(seq) FROM jangbu.entries WHERE {OF_KIM} AND asset = 2)"
        ),
    ),
    "a debit is of another posting": (
        Invariant.POSTINGS,
        f"UPDATE jangbu.entries SET posting = posting + 1000 WHERE {OF_KIM} AND asset = 1 AND kind = 'overrun'",
    ),
    "a money debit is of another posting": (
        Invariant.POSTINGS,
        f"UPDATE jangbu.entries SET posting = posting + 1000 WHERE {OF_KIM} AND asset = 2 AND kind = 'overrun'",
    ),
    "a record is of another posting": (
        Invariant.POSTINGS,
        f"UPDATE jangbu.usage SET posting = posting + 1000 WHERE {A_CALL}",
    ),
    "a hold was smaller than the call": (
        Invariant.POSTINGS,
        f"UPDATE jangbu.usage SET hold_amount = 1 WHERE {OF_KIM} AND hold_amount = 100 AND total < 100",
    ),
    "an entry says overrun": (
        Invariant.POSTINGS,
        f"UPDATE jangbu.entries SET kind = 'overrun' WHERE {OF_KIM} AND asset = 1 AND kind = 'usage' AND seq < 5",
    ),
    "a reason is written anew": (
        Invariant.CHAIN,
        f"UPDATE jangbu.entries SET reason = 'a gift' WHERE {OF_KIM} AND kind = 'void'",
    ),
    "an entry is made to look older": (
        Invariant.CHAIN,
        f"UPDATE jangbu.entries SET created_at = created_at - interval '1 microsecond' WHERE {OF_KIM} AND seq = 2",
    ),
    "a refund is of another call": (
        Invariant.CHAIN,
        f"UPDATE jangbu.entries SET reference = gen_random_uuid() WHERE {OF_KIM} AND kind = 'refund'",
    ),
    "a hash is gone": (Invariant.CHAIN, f"UPDATE jangbu.entries SET hash = NULL WHERE {OF_KIM} AND asset = 2"),
    "the latest hash is another": (
        Invariant.CHAIN,
        f"UPDATE jangbu.balances SET head = sha256(head) WHERE {OF_KIM} AND asset = 1",
    ),
    "a chain is not begun": (Invariant.CHAIN, f"UPDATE jangbu.balances SET head = NULL WHERE {OF_KIM} AND asset = 1"),
    "a grant is larger than its entry": (
        Invariant.GRANTS,
        f"UPDATE jangbu.grants SET amount = amount + 1 WHERE {OF_KIM} AND asset = 1",
    ),
    "a grant is gone": (Invariant.GRANTS, f"DELETE FROM jangbu.grants WHERE {OF_KIM} AND asset = 1"),
    "a grant expired without an entry": (
        Invariant.GRANTS,
        f"UPDATE jangbu.grants SET expired = 1, consumed = 0 WHERE {OF_KIM} AND asset = 1",
    ),
    "grants burnt more than was ever taken": (
        Invariant.GRANTS,
        f"UPDATE jangbu.grants SET consumed = amount - expired WHERE {OF_KIM} AND asset = 1",
    ),
    "a hold's time was up an hour ago": (
        Invariant.OVERDUE,
        "UPDATE jangbu.holds SET expires_at = now() - interval '1 hour' WHERE state = 'open'",
    ),
    "a balance is without its account": (
        Invariant.ACCOUNTS,
        "INSERT INTO jangbu.balances (account_id, asset) VALUES (gen_random_uuid(), 1)",
    ),
    "an account is without its balance": (
        Invariant.ACCOUNTS,
        f"INSERT INTO jangbu.accounts (account_id, project, user_id) VALUES (gen_random_uuid(), '{PROJECT}', 'new')",
    ),
    "a grant burnt more than there was": (
        Invariant.GRANTS,
        (
            "ALTER TABLE jangbu.grants DROP CONSTRAINT grants_check;"
            f"UPDATE jangbu.grants SET consumed = amount + 1 WHERE {OF_KIM} AND asset = 1"
        ),
    ),
    "a cost was written by hand": (
        Invariant.COST,
        f"UPDATE jangbu.usage SET cost_nano = cost_nano + 1 WHERE {A_CALL};"
        + ";".join(
            f"UPDATE jangbu.{table} AS r SET cost_nano = r.cost_nano + 1 {of_a_call(table)}"
            for table in LASTING
            if table != "project_six_hours"  # These follow the figures by hours.
        ),
    ),
    "an unknown price was made up": (
        Invariant.COST,
        "UPDATE jangbu.usage SET charge_nano = 0 WHERE charge_nano IS NULL",
    ),
    "the evidence says another total": (
        Invariant.COUNTS,
        f"UPDATE jangbu.usage SET raw = jsonb_set(raw, '{{usage,0,totalTokenCount}}', '7') WHERE {A_CALL}",
    ),
    "the name of a model is gone": (
        Invariant.COUNTS,
        f"DELETE FROM jangbu.models WHERE model_id = (SELECT model_id FROM jangbu.usage WHERE {A_CALL})",
    ),
    "the name of a service is gone": (
        Invariant.COUNTS,
        f"DELETE FROM jangbu.services WHERE service_id = (SELECT service_id FROM jangbu.usage WHERE {A_CALL})",
    ),
}
