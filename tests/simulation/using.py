"""The statements that record usage, in memory: the same results as ``usage_flush.sql`` and ``usage_record.sql``."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from jangbu.storage.usage import UsageRow, moment_of
from tests.simulation.holding import Holding
from tests.simulation.tables import MONEY, TOKENS, Balance, Entry, Key, Row, Usage

Keyed = tuple[UUID, str, bytes, UUID]
"""A key that a record takes: whose, which, the digest of what it stands for, and the record."""


class Using(Holding):
    """Records usage as one act: everything that may refuse is asked before anything is changed."""

    months: set[tuple[int, int]]

    def now(self) -> datetime:
        raise NotImplementedError

    def usage_flush(self, *arguments: Any) -> list[Row]:
        rows = [UsageRow(*values) for values in zip(*arguments[:26], strict=True)]
        fresh, keyed = self._fresh(rows)
        self._check_partitions(fresh)
        self._check_keys(keyed)
        closed = self._close_holds(rows)
        for account_id, key, digest, id_ in keyed:
            self.accounts[account_id].keys[key] = Key(digest, id_, self.now(), self.commits)
        for row in fresh:
            account = self.accounts[row.account_id]
            amount = closed.get(row.id)
            money = account.balances.get(MONEY)
            money_posting = None if money is None or not row.charge_nano else money.version
            posting = account.balances[TOKENS].version
            account.usage[row.id] = Usage(
                row, amount, row.was_held and amount is None, posting, money_posting, self.commits
            )
        self._post([(row, closed.get(row.id)) for row in fresh])
        for row in fresh:
            self._find_all(row, closed.get(row.id))
        new = {row.id for row in fresh}
        return [self._told(row, row.id in new, closed) for row in rows]

    def usage_record(self, *arguments: Any) -> list[Row]:
        row = UsageRow(*arguments[:25])
        account = self.accounts.get(row.account_id)
        if account is None or MONEY in account.balances:
            return []
        known, key = account.usage.get(row.id), account.keys.get(row.key or "")
        if (known is not None and known.born <= self.seen) or (key is not None and key.born <= self.seen):
            return []
        hold = account.holds.get(row.id) if row.was_held else None
        if row.was_held and not (
            hold is not None and hold.state == "open" and hold.amount >= row.total and self._visible(hold)
        ):
            return []
        if key is not None:
            raise _duplicate("idempotency_keys")
        self._check_partitions([row])
        if known is not None:
            raise _duplicate(f"usage_{moment_of(row.id):%Y%m}")
        balance = account.balances[TOKENS]
        if hold is not None:
            hold.become(None, self.commits)
            balance.held -= hold.amount
        if row.key is not None:
            account.keys[row.key] = Key(row.digest or b"", row.id, self.now(), self.commits)
        amount = None if hold is None else hold.amount
        account.usage[row.id] = Usage(row, amount, False, balance.version, None, self.commits)
        posting = balance.version
        _enter(balance, "usage", row.total, posting)
        return [Row(hold_amount=amount or 0, available=balance.available)]

    def usage_find(self, account_id: UUID, id_: UUID) -> list[Row]:
        account = self.accounts.get(account_id)
        found = None if account is None else account.usage.get(id_)
        if account is None or found is None:
            return []
        row = found.row
        kept = row._asdict()
        for name in ("service_id", "model_id", "was_held", "key", "digest", "members"):
            del kept[name]
        return [
            Row(
                **kept
                | {
                    "user_id": account.user,
                    "service": self.name_of("service", row.service_id),
                    "model": self.name_of("model", row.model_id),
                    "hold_amount": found.hold_amount,
                    "late": found.late,
                    "posting": found.posting,
                    "money_posting": found.money_posting,
                    "anomalies": row.anomalies.split(",") if row.anomalies else None,
                    "recorded_at": self.now(),
                    "created_at": moment_of(id_),
                }
            )
        ]

    def name_of(self, kind: str, number: int) -> str:
        raise NotImplementedError

    def _fresh(self, rows: Sequence[UsageRow]) -> tuple[list[UsageRow], list[Keyed]]:
        """Give the rows that are new, and the keys that they take."""
        fresh: list[UsageRow] = []
        keyed: list[Keyed] = []
        for row in rows:
            account = self.accounts.get(row.account_id)
            if account is None or row.id in account.usage:
                continue
            seen = {key: each.digest for key, each in account.keys.items() if each.born <= self.seen}
            members = {key: bytes.fromhex(digest) for key, digest in json.loads(row.members or "{}").items()}
            if not row.was_held and any(seen.get(key) == digest for key, digest in members.items()):
                continue
            if row.key not in seen or (row.was_held and seen[row.key] != row.digest):
                fresh.append(row)
                own = {} if row.key is None else {row.key: row.digest or b""}
                for key, digest in (*own.items(), *members.items()):
                    if key not in seen:
                        keyed.append((row.account_id, key, digest, row.id))
        return fresh, keyed

    def _check_keys(self, keyed: Sequence[Keyed]) -> None:
        """Refuse keys that were taken after the statement began, or that two of its rows bear."""
        if any(key in self.accounts[account_id].keys for account_id, key, _, _ in keyed):
            raise _duplicate("idempotency_keys")
        if len({each[:2] for each in keyed}) < len(keyed):
            raise _duplicate("idempotency_keys")

    def _close_holds(self, rows: Sequence[UsageRow]) -> dict[UUID, int]:
        """Close the holds of what is known, or will be after this."""
        closed: dict[UUID, int] = {}
        for row in rows:
            account = self.accounts.get(row.account_id)
            hold = None if account is None or not row.was_held else account.holds.get(row.id)
            if account is None or hold is None or not hold.holds or not self._visible(hold):
                continue
            if hold.state == "unknown":
                self._resolve(account, row.id)
            hold.become(None, self.commits)
            account.balances[TOKENS].held -= hold.amount
            closed[row.id] = hold.amount
        return closed

    def _post(self, recorded: Sequence[tuple[UsageRow, int | None]]) -> None:
        """Write one entry for each account, asset and kind; usage before overruns, as the kinds are ordered."""
        sums: dict[tuple[UUID, int, str], int] = defaultdict(int)
        for row, held in recorded:
            kind = "overrun" if held is not None and row.total > held else "usage"
            for asset, amount in ((TOKENS, row.total), (MONEY, row.charge_nano or 0)):
                if amount > 0 and asset in self.accounts[row.account_id].balances:
                    sums[row.account_id, asset, kind] += amount
        postings = {(account, asset): self.accounts[account].balances[asset].version for account, asset, _ in sums}
        for account, asset, kind in sorted(sums, key=lambda each: each[2] == "overrun"):
            balance = self.accounts[account].balances[asset]
            _enter(balance, kind, sums[account, asset, kind], postings[account, asset])

    def _find_all(self, row: UsageRow, held: int | None) -> None:
        account = self.accounts[row.account_id]
        flags = [each for each in (row.anomalies or "").split(",") if each not in ("", "blocked")]
        found = (
            ("unpriced", _lacks_price(row), "no price is known for what was used"),
            ("overrun", held is not None and row.total > held, f"used {row.total} of a hold of {held}"),
            ("late", row.was_held and held is None, "recorded when nothing was held for it any more"),
            ("partial", row.source == "partial", "the answer broke off; its last reported counts are charged"),
            ("anomaly", bool(flags), ", ".join(flags)),
        )
        for kind, applies, detail in found:
            if applies:
                self._find(account, row.id, kind, detail)

    def _told(self, row: UsageRow, is_new: bool, closed: dict[UUID, int]) -> Row:
        account = self.accounts.get(row.account_id)
        return Row(
            id=row.id,
            is_new=is_new,
            has_account=account is not None,
            hold_amount=closed.get(row.id, 0) if is_new else 0,
            available=None if account is None else account.balances[TOKENS].available,
        )

    def _check_partitions(self, rows: Any) -> None:
        for row in rows:
            at = moment_of(row.id).astimezone(UTC)
            if (at.year, at.month) not in self.months:
                raise asyncpg.CheckViolationError('no partition of relation "usage" found for row')


def _lacks_price(row: UsageRow) -> bool:
    """Tell whether a price would tell what a call costs: one of the flags that are drawn says that it has no counts."""
    return row.cost_nano is None and "usage_missing" not in (row.anomalies or "").split(",")


def _enter(balance: Balance, kind: str, amount: int, posting: int) -> None:
    balance.used += amount
    balance.version += 1
    after = balance.granted - balance.used
    balance.entries.append(Entry(balance.version, kind, -amount, after, posting))


def _duplicate(table: str) -> asyncpg.UniqueViolationError:
    error = asyncpg.UniqueViolationError("duplicate key value violates unique constraint")
    error.table_name = table
    return error
