"""The ledger in memory: what PostgreSQL does for each statement that the life of a call needs, and nothing else.

``run`` is given the number of the commit that was the latest when the statement began: other rows that were inserted
since are not seen by it, as in PostgreSQL's READ COMMITTED, where a statement may wait for a balance and act on an old
view of everything else. Rollups, the hashes of entries and the audit are left out: nothing here reads them.
"""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from tests.simulation.tables import MONEY, TOKENS, Account, Balance, Entry, Grant, Key, Row
from tests.simulation.using import Using

EPOCH = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
"""When the database's clock began."""

READS = frozenset(
    {
        "account_find", "balance_list", "balance_lock", "balance_locked", "balance_wait", "clock_of_writes",
        "clock_read", "entry_returned", "grant_due", "grant_list", "key_find", "price_version_newest", "sealed_find",
        "usage_find", "write_try",
    }
)  # fmt: skip
_DUTIES_OF_OTHERS = frozenset({"refused_add", "key_call_expire", "key_use_purge", "resource_expire"})
_PRICES = json.dumps({"rows": [], "terms": {"markup_parts_per_million": 0, "overrides": []}})


class Book(Using):
    """All tables of one database. ``time`` gives the database's clock, in seconds since it began."""

    def __init__(self, time: Callable[[], float], prices: str = _PRICES) -> None:
        self.accounts: dict[UUID, Account] = {}
        self.commits = 0
        self.seen = 0
        self.months: set[tuple[int, int]] = set()
        self.locked: Collection[UUID] = ()
        """The accounts whose balances other transactions keep locked."""
        self.names: dict[str, dict[str, int]] = {"service": {}, "model": {}}
        self._time = time
        self._prices = prices

    def seconds(self) -> float:
        return self._time()

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._time())

    def run(self, name: str, arguments: Sequence[Any], snapshot: int | None = None) -> list[Row]:
        """Run a statement as one act."""
        self.seen = self.commits if snapshot is None else snapshot
        if name in _DUTIES_OF_OTHERS:
            return []
        if name not in READS:
            self.commits += 1
        rows: list[Row] = getattr(self, name)(*arguments)
        return rows

    def locks(self, name: str, arguments: Sequence[Any]) -> Sequence[UUID]:
        """Give the accounts whose balances a statement locks."""
        if name in ("usage_flush", "hold_take", "hold_release"):
            return sorted(set(arguments[0]))
        if name in ("usage_record", "hold_take_one", "entry_post", "balance_lock", "balance_wait"):
            return arguments[:1]
        if name == "hold_expire":
            now = self.seconds()
            return [
                account.id
                for account in self.accounts.values()
                if account.id not in self.locked
                and any(hold.state == "open" and hold.expires_at <= now for hold in account.holds.values())
            ]
        return ()

    def account_create(self, account_id: UUID, project: str, user: str) -> list[Row]:
        is_new = account_id not in self.accounts
        if is_new:
            self.accounts[account_id] = Account(account_id, project, user, self.now(), balances={TOKENS: Balance()})
        return [Row(is_new=is_new)]

    def account_find(self, account_id: UUID) -> list[Row]:
        account = self.accounts.get(account_id)
        if account is None:
            return []
        kept = Row(account_id=account_id, user_id=account.user, state=account.states[-1][1], created_at=self.now())
        return [Row(**kept, **_amounts(account.balances[TOKENS]))]

    def account_block(self, account_id: UUID, blocked: bool) -> list[Row]:
        account = self.accounts.get(account_id)
        if account is None:
            return []
        was_blocked = account.states[-1][1] == "blocked"
        account.states.append((self.commits, "blocked" if blocked else "active"))
        return [Row(was_blocked=was_blocked)]

    def balance_open(self, account_id: UUID, asset: int) -> list[Row]:
        account = self.accounts.get(account_id)
        if account is not None:
            account.balances.setdefault(asset, Balance())
        return []

    def balance_list(self, account_id: UUID) -> list[Row]:
        account = self.accounts.get(account_id)
        balances = sorted(account.balances.items()) if account else ()
        return [Row(asset=asset, **_amounts(balance), updated_at=self.now()) for asset, balance in balances]

    def balance_lock(self, account_id: UUID, asset: int) -> list[Row]:
        balance = self._balance(account_id, asset)
        return [] if balance is None else [_amounts(balance)]

    def balance_locked(self, ids: Collection[UUID]) -> list[Row]:
        return [Row(account_id=each) for each in ids if each in self.locked]

    def balance_wait(self, _account: UUID) -> list[Row]:
        return []

    def entry_post(self, *arguments: Any) -> list[Row]:
        account_id, asset, kind, delta, id_, reference, key, digest, reason, source, priority, expires_at = arguments
        balance = self._balance(account_id, asset)
        if balance is None:
            return []
        account = self.accounts[account_id]
        if key in account.keys:
            return []
        if balance.granted + delta < 0:
            error = asyncpg.CheckViolationError("new row violates check constraint")
            error.constraint_name = "balances_granted_check"
            raise error
        account.keys[key] = Key(digest, id_, self.now(), self.commits)
        balance.granted += delta
        balance.version += 1
        after = balance.granted - balance.used
        balance.entries.append(Entry(balance.version, kind, delta, after, None, reference, reason))
        if kind == "grant":
            account.grants[asset][id_] = Grant(id_, delta, source, priority, expires_at, self.now(), self.commits)
        return [_amounts(balance)]

    def audit_write(self, *_line: Any) -> list[Row]:
        return []

    def entry_returned(self, account_id: UUID, asset: int, call: UUID) -> list[Row]:
        balance = self._balance(account_id, asset)
        entries = [] if balance is None else balance.entries
        back = [each.delta for each in entries if each.reference == call and each.kind in ("refund", "void")]
        return [Row(coalesce=sum(back))]

    def grant_list(self, account_id: UUID, asset: int, spent_too: bool) -> list[Row]:
        account = self.accounts.get(account_id)
        grants = list(account.grants[asset].values()) if account else []
        never = datetime.max.replace(tzinfo=UTC)
        grants.sort(key=lambda each: (each.expires_at or never, each.priority, each.created_at, each.id))
        return [each.row() for each in grants if spent_too or each.consumed + each.expired < each.amount]

    def grant_burn(
        self, account_id: UUID, ids: Sequence[UUID], consumed: Sequence[int], expired: Sequence[int]
    ) -> list[Row]:
        for grants in self.accounts[account_id].grants.values():
            for id_, burnt, lost in zip(ids, consumed, expired, strict=True):
                if id_ in grants and grants[id_].born <= self.seen:
                    grants[id_].consumed, grants[id_].expired = burnt, lost
        return []

    def grant_due(self, after: UUID, after_asset: int, limit: int) -> list[Row]:
        now = self.now()
        due = sorted(
            {
                (account.id, asset)
                for account in self.accounts.values()
                for asset, grants in account.grants.items()
                for each in grants.values()
                if (account.id, asset) > (after, after_asset)
                and each.expires_at is not None
                and each.expires_at <= now
                and each.consumed + each.expired < each.amount
            }
        )
        return [Row(account_id=account, asset=asset) for account, asset in due[:limit]]

    def key_claim(self, account_id: UUID, key: str, digest: bytes, result: UUID) -> list[Row]:
        account = self.accounts.get(account_id)
        if account is not None:
            account.keys.setdefault(key, Key(digest, result, self.now(), self.commits))
        return []

    def key_find(self, account_id: UUID, key: str) -> list[Row]:
        account = self.accounts.get(account_id)
        known = None if account is None else account.keys.get(key)
        if known is None:
            return []
        return [Row(digest=known.digest, result_id=known.result_id, created_at=known.created_at)]

    def service_resolve(self, names: Sequence[str]) -> list[Row]:
        return self._resolve_names("service", names)

    def service_admit(self, name: str, most: int) -> list[Row]:
        known = self.names["service"]
        if name not in known and len(known) >= most:
            return []
        return [Row(service_id=known.setdefault(name, len(known) + 1))]

    def model_resolve(self, names: Sequence[str]) -> list[Row]:
        return self._resolve_names("model", names)

    def price_version_newest(self, *_project: str) -> list[Row]:
        return [Row(version=1, digest=b"", book=self._prices, note="", created_at=EPOCH)]

    def partition_make(self, moments: Sequence[datetime]) -> list[Row]:
        months = [(at.astimezone(UTC).year, at.astimezone(UTC).month) for at in moments]
        self.months.update(months)
        return [Row(usage_partition_make=f"usage_{year:04}{month:02}") for year, month in months]

    def clock_read(self) -> list[Row]:
        return [Row(clock_timestamp=self.now())]

    def clock_of_writes(self) -> list[Row]:
        return [Row(now=self.now(), is_read_only=False)]

    def write_try(self) -> list[Row]:
        return [Row(is_read_only=False)]

    def sealed_find(self, *_call: Any) -> list[Row]:
        return [Row(exists=False)]

    def name_of(self, kind: str, number: int) -> str:
        return next(name for name, known in self.names[kind].items() if known == number)

    def _resolve_names(self, kind: str, names: Sequence[str]) -> list[Row]:
        known = self.names[kind]
        return [Row({f"{kind}_id": known.setdefault(name, len(known) + 1), "name": name}) for name in names]

    def _balance(self, account_id: UUID, asset: int) -> Balance | None:
        account = self.accounts.get(account_id)
        return None if account is None else account.balances.get(asset)


def _amounts(balance: Balance) -> Row:
    return Row(granted=balance.granted, used=balance.used, held=balance.held, version=balance.version)


__all__ = ["EPOCH", "MONEY", "READS", "TOKENS", "Book"]
