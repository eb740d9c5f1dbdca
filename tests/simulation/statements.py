"""Random statements, drawn for the database in memory and for PostgreSQL alike."""

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from jangbu.domain.ledger import account_id
from jangbu.storage.usage import UsageRow
from tests.simulation.process import call_id

PROJECT = "p"
USERS = ("kim", "lee")
NOBODY = account_id(PROJECT, "nobody opened this")
THERE, NOT_THERE = datetime(2026, 5, 5, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
"""A moment of a month that has a partition, and one of a month that has none."""
LONG_SECONDS = 100_000
_MEMBERS = tuple(
    json.dumps({f"answer:{name}": digest.hex() for name, digest in each.items()})
    for each in ({"1": b"one"}, {"2": b"other", "3": b"one"}, {"3": b"one", "4": b"one"})
)
"""The answers of batches, some of which are answers by themselves, too."""


class Drawn(NamedTuple):
    """A statement with its arguments."""

    name: str
    arguments: tuple[Any, ...]


class Sequences:
    """Draws statements that meet again and again: few accounts, few ids, few keys."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.accounts = [account_id(PROJECT, user) for user in USERS]
        self._ids = [call_id(THERE, chance.getrandbits(74)) for _ in range(10)]
        self._ids.append(call_id(NOT_THERE, chance.getrandbits(74)))
        self._grants: list[UUID] = []
        self._writes: tuple[tuple[int, Callable[[], Drawn]], ...] = (
            (6, self._hold_take),
            (4, self._hold_take_one),
            (3, self._hold_release),
            (3, self._hold_mark_unknown),
            (1, self._hold_extend),
            (2, lambda: Drawn("hold_expire", (100,))),
            (6, self._usage_flush),
            (4, self._usage_record),
            (3, self._entry_post),
            (1, self._grant_burn),
            (1, self._key_claim),
            (1, lambda: Drawn("finding_close", ())),
            (1, lambda: Drawn("account_block", (self._account(), chance.random() < 0.4))),
        )
        self._reads: tuple[tuple[int, Callable[[], Drawn]], ...] = (
            (1, lambda: Drawn("hold_purge", (10,))),
            (1, lambda: Drawn("account_find", (self._account(),))),
            (1, lambda: Drawn("balance_list", (self._account(),))),
            (1, lambda: Drawn("balance_lock", (self._account(), chance.choice((1, 2))))),
            (1, lambda: Drawn("key_find", (self._account(), chance.choice(("answer:1", "call:1", "key:1"))))),
            (1, lambda: Drawn("usage_find", (self._account(), self._id()))),
            (1, lambda: Drawn("grant_list", (self._account(), 1, chance.random() < 0.5))),
            (1, lambda: Drawn("grant_due", (UUID(int=0), chance.choice((1, 2)), 100))),
            (1, lambda: Drawn("entry_returned", (self._account(), 1, self._id()))),
            (1, lambda: Drawn("service_resolve", (["text_generation"],))),
            (1, lambda: Drawn("service_admit", (chance.choice(("text_generation", "another")), chance.choice((0, 2))))),
        )

    def founding(self) -> Sequence[Drawn]:
        """Give the statements with which a ledger begins."""
        kim = self.accounts[0]
        return (
            *(Drawn("account_create", (id_, PROJECT, user)) for id_, user in zip(self.accounts, USERS, strict=True)),
            Drawn("partition_make", ([THERE],)),
            Drawn("service_resolve", (["text_generation"],)),
            Drawn("model_resolve", (["a-model"],)),
            *(self._granted(id_, 1, 3_000, f"key:first-{n}") for n, id_ in enumerate(self.accounts)),
            *((Drawn("balance_open", (kim, 2)),) if self.chance.random() < 0.5 else ()),
        )

    def draw(self) -> Drawn:
        """Draw any statement."""
        return self._chosen(self._reads if self.chance.random() < 0.2 else self._writes)

    def draw_race(self) -> tuple[Drawn, Drawn]:
        """Draw two that write."""
        return self._chosen(self._writes), self._chosen(self._writes)

    def _chosen(self, among: tuple[tuple[int, Callable[[], Drawn]], ...]) -> Drawn:
        return self.chance.choices([make for _, make in among], [weight for weight, _ in among])[0]()

    def _account(self) -> UUID:
        return NOBODY if self.chance.random() < 0.04 else self.chance.choice(self.accounts)

    def _id(self) -> UUID:
        return self.chance.choice(self._ids[:-1]) if self.chance.random() < 0.97 else self._ids[-1]

    def _pairs(self, most: int) -> list[tuple[UUID, UUID]]:
        pairs = {(self._account(), self._id()): None for _ in range(self.chance.randint(1, most))}
        return sorted(pairs)

    def _hold_take(self) -> Drawn:
        pairs, chance = self._pairs(3), self.chance
        bases = [chance.choice((0, 10, 200)) for _ in pairs]
        leasts = [base + chance.randint(0, 300) for base in bases]
        mosts = [least + chance.choice((0, 0, 50, 2_000)) for least in leasts]
        return Drawn(
            "hold_take",
            (
                [account for account, _ in pairs],
                [id_ for _, id_ in pairs],
                bases,
                leasts,
                mosts,
                [chance.random() < 0.3 for _ in pairs],
                ["text_generation" for _ in pairs],
                ["a-model" for _ in pairs],
                chance.random() < 0.7,
                "somebody",
                chance.choice((0, LONG_SECONDS)),
            ),
        )

    def _hold_take_one(self) -> Drawn:
        arguments = self._hold_take().arguments
        return Drawn("hold_take_one", (*(each[0] for each in arguments[:8]), *arguments[8:]))

    def _hold_release(self) -> Drawn:
        pairs = self._pairs(3)
        return Drawn(
            "hold_release", ([account for account, _ in pairs], [id_ for _, id_ in pairs], ["why" for _ in pairs])
        )

    def _hold_mark_unknown(self) -> Drawn:
        return Drawn("hold_mark_unknown", (self._account(), self._id(), "it never came back"))

    def _hold_extend(self) -> Drawn:
        return Drawn("hold_extend", (self._account(), self._id(), self.chance.choice((0, LONG_SECONDS))))

    def _usage_flush(self) -> Drawn:
        rows = [self._row(account, id_) for account, id_ in self._pairs(4)]
        # Which of two rows of one batch takes an id is the planner's choice; where both want a key, neither gets it.
        rows = list({row.id: row for row in rows}.values())
        return Drawn("usage_flush", (*(list(column) for column in zip(*rows, strict=True)), 1, PROJECT))

    def _usage_record(self) -> Drawn:
        row = self._row(self._account(), self._id())
        total = max(1, row.total)
        plain = row._replace(
            total=total, cost_nano=9, input_cost_nano=3, charge_nano=10, source="reported", anomalies=None
        )
        return Drawn("usage_record", (*plain[:-1], 1, PROJECT))

    def _row(self, account: UUID, id_: UUID) -> UsageRow:
        chance = self.chance
        total = chance.choice((0, 5, 120, 700))
        cost = chance.choice((None, 40))
        key = chance.choice((None, "answer:1", "answer:2"))
        return UsageRow(
            account_id=account,
            id=id_,
            service_id=1,
            model_id=1,
            surface="generate_content",
            platform="gemini_api",
            tier=chance.choice((None, "standard")),
            source=chance.choice(("reported", "reported", "partial")),
            prompt=total,
            candidates=0,
            thoughts=0,
            tool=0,
            cached=0,
            total=total,
            cost_nano=cost,
            input_cost_nano=cost,
            charge_nano=cost,
            price_version=None,
            was_held=chance.random() < 0.8,
            response_id=None,
            anomalies=chance.choice((None, None, "total_absent,blocked", "blocked", "usage_missing")),
            raw='{"a": 1}',
            metadata=None,
            key=key,
            digest=None if key is None else chance.choice((b"one", b"other")),
            members=chance.choice((None, None, None, *_MEMBERS)),
        )

    def _entry_post(self) -> Drawn:
        chance, account = self.chance, self._account()
        kind = chance.choice(("grant", "adjustment", "refund", "expiry"))
        asset = chance.choice((1, 1, 1, 2))
        key = chance.choice(("key:1", "key:2", "key:3", f"key:{chance.random()}"))
        if kind == "grant":
            return self._granted(account, asset, chance.randint(1, 900), key)
        delta = chance.randint(1, 50) if kind == "refund" else -chance.choice((10, 300, 100_000))
        reference = self._id() if kind == "refund" else None
        id_ = UUID(int=chance.getrandbits(128))
        return Drawn(
            "entry_post",
            (account, asset, kind, delta, id_, reference, key, b"digest", "because", "purchase", 0, None),
        )

    def _granted(self, account: UUID, asset: int, amount: int, key: str) -> Drawn:
        chance = self.chance
        id_ = UUID(int=chance.getrandbits(128))
        self._grants.append(id_)
        expires = chance.choice((None, datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)))
        priority = chance.randint(0, 3)
        return Drawn(
            "entry_post",
            (account, asset, "grant", amount, id_, None, key, b"digest", None, "purchase", priority, expires),
        )

    def _grant_burn(self) -> Drawn:
        return Drawn("grant_burn", (self.chance.choice(self.accounts), [self.chance.choice(self._grants)], [1], [0]))

    def _key_claim(self) -> Drawn:
        key = self.chance.choice(("call:1", "call:2"))
        return Drawn("key_claim", (self._account(), key, self.chance.choice((b"one", b"other")), self._id()))
