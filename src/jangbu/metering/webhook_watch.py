"""What this process saw of its users that the app may have to be told, in memory: no call waits for it.

A balance is looked at in the database only where the receipt of a call says that there may be something to tell: for
each account it is known down to where there is not. What is forgotten here, by its bounds or because the process dies,
is seen again at the user's next call, or by the periodic look.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from jangbu import telemetry
from jangbu.clock import Clock
from jangbu.domain.webhooks import EventKind
from jangbu.storage.webhooks import Failure, Refusals, Seen

__all__ = ["Watch"]

_ALWAYS = 2**63
_NEVER = -(2**63)
_KNOWN_MAX = 100_000
_WAITING_MAX = 10_000
_FAILURES_MAX = 1_000


class Watch:
    """Notes what happens to users. Calls are noted on the ledger's loop, failures in any thread."""

    def __init__(self, clock: Clock, kinds: frozenset[EventKind]) -> None:
        self._clock = clock
        self._sees_balances = bool(kinds & {EventKind.BALANCE_LOW, EventKind.GRANT_USED_UP})
        self._sees_refusals = EventKind.CALL_REFUSED in kinds
        self._sees_failures = EventKind.RECORD_FAILED in kinds
        self._levels: dict[UUID, int] = {}
        self._waiting: set[UUID] = set()
        self._refused: dict[UUID, Refusals] = {}
        self._failures: list[Failure] = []
        self._lock = threading.Lock()
        self._ends = [
            telemetry.subscribe(self._hear_failure, "recorder.failed", "spool.record_lost"),
            telemetry.subscribe(self._hear_posting, "accounts.posted"),
        ]

    def stop(self) -> None:
        """Hear nothing more."""
        for end in self._ends:
            end()
        self._ends = []

    def recorded(self, account: UUID, available: int) -> None:
        """Note that a call was recorded, which left so much available."""
        if (
            available <= self._levels.get(account, _ALWAYS)
            and self._sees_balances
            and len(self._waiting) < _WAITING_MAX
        ):
            self._waiting.add(account)

    def refused(self, account: UUID) -> None:
        """Note that a call was refused because its user's balance does not cover it."""
        if not self._sees_refusals:
            return
        known = self._refused.get(account)
        if known is not None:
            self._refused[account] = Refusals(account, known.calls + 1, known.since)
        elif len(self._refused) < _WAITING_MAX:
            self._refused[account] = Refusals(account, 1, self._clock.now())

    def waiting(self, most: int) -> Sequence[UUID]:
        """Take accounts whose balances are to be looked at."""
        return [self._waiting.pop() for _ in range(min(most, len(self._waiting)))]

    def learn(self, seen: Sequence[Seen]) -> None:
        """Note how far balances may fall until there is something to tell."""
        if len(self._levels) + len(seen) > _KNOWN_MAX:
            self._levels.clear()
        for each in seen:
            if each.is_used_up:
                # Once the grant is burnt down, the next one has a level of its own.
                self._levels.pop(each.account, None)
            else:
                self._levels[each.account] = _NEVER if each.level is None else each.level

    def forget(self) -> None:
        """Forget what is known of balances: other processes may have granted meanwhile."""
        self._levels.clear()

    def refusals(self) -> Sequence[Refusals]:
        """Take the refused calls that nobody counted yet."""
        taken, self._refused = list(self._refused.values()), {}
        return taken

    def put_back(self, refusals: Sequence[Refusals]) -> None:
        """Note refused calls again that could not be counted."""
        for each in refusals:
            later = self._refused.get(each.account)
            calls = each.calls + (later.calls if later else 0)
            self._refused[each.account] = Refusals(each.account, calls, each.since)

    def failures(self) -> Sequence[Failure]:
        """Give the records that could not be made durable, until they are ``told``."""
        with self._lock:
            return tuple(self._failures)

    def told(self, failures: Sequence[Failure]) -> None:
        """Note that there are events of these failures."""
        with self._lock:
            self._failures = [each for each in self._failures if each not in failures]

    def _hear_failure(self, _event: str, facts: Mapping[str, Any]) -> None:
        # Of what failed only the counts are kept: what it holds may be content.
        if not self._sees_failures:
            return
        call = UUID(facts["usage_id"])
        # However often it is heard of, by however many processes that try to save the record, there is one event.
        failure = Failure(uuid5(call, EventKind.RECORD_FAILED), UUID(facts["account_id"]), call, facts["total"])
        with self._lock:
            if len(self._failures) < _FAILURES_MAX:
                self._failures.append(failure)

    def _hear_posting(self, _event: str, facts: Mapping[str, Any]) -> None:
        self._levels.pop(facts["account"], None)
