"""The ledger as it ought to behave, in memory and as plainly as can be: the oracle beside PostgreSQL."""

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

HoldState = Literal["open", "unknown", "released", "expired", "settled"]
Settled = Literal["recorded", "replayed", "conflict"]


@dataclass
class ModelHold:
    amount: int
    state: HoldState
    is_mark: bool = False


@dataclass
class ModelUsage:
    total: int
    answer: str | None = None
    given_back: int = 0
    voided: bool = False


@dataclass
class ModelAccount:
    granted: int = 0
    used: int = 0
    blocked: bool = False
    entries: int = 0
    holds: dict[UUID, ModelHold] = field(default_factory=dict)
    usage: dict[UUID, ModelUsage] = field(default_factory=dict)
    others: dict[tuple[UUID, str], ModelUsage] = field(default_factory=dict)
    """Answers of calls that other answers had settled."""
    answers: dict[str, ModelUsage] = field(default_factory=dict)
    """What an answer's own id stands for."""
    keys: dict[str, object] = field(default_factory=dict)

    @property
    def held(self) -> int:
        return sum(hold.amount for hold in self.holds.values() if hold.state in ("open", "unknown"))

    @property
    def available(self) -> int:
        return self.granted - self.used - self.held

    def grant(self, key: str, amount: int) -> Literal["posted", "replayed", "conflict"]:
        return self._once(key, ("grant", amount), amount)

    def adjust(self, key: str, delta: int) -> Literal["posted", "replayed", "conflict", "refused"]:
        if key not in self.keys and self.granted + delta < 0:
            return "refused"
        return self._once(key, ("adjust", delta), delta)

    def take(self, call: UUID, amount: int) -> Literal["held", "refused", "used before", "blocked"]:
        known = self.holds.get(call)
        if known is not None and known.state == "open":
            return "held"
        if known is not None or call in self.usage:
            return "used before"
        if self.blocked:
            return "blocked"
        if amount > self.available:
            return "refused"
        self.holds[call] = ModelHold(amount, "open")
        return "held"

    def settle(self, call: UUID, total: int, answer: str | None = None) -> Settled:
        hold = self.holds.get(call)
        if hold is not None and hold.state in ("open", "unknown"):
            hold.state = "settled"
        known = self.answers.get(answer or "")
        if known is not None and known.total == total:
            if hold is not None and hold.state == "settled" and call not in self.usage:
                # The answer stands under another call, and of this one nothing is left.
                del self.holds[call]
            return "replayed"
        first = self.usage.get(call)
        if first is None:
            self.usage[call] = self._recorded(total, answer)
            return "recorded"
        if answer and first.answer and answer != first.answer:
            first = self.others.get((call, answer))
            if first is None:
                self.others[call, answer] = self._recorded(total, answer)
                return "recorded"
        if first.total != total:
            return "conflict"
        if answer:
            self.answers.setdefault(answer, first)
        return "replayed"

    def hand_over(self, total: int, answer: str) -> Settled:
        known = self.answers.get(answer)
        if known is None:
            self._recorded(total, answer)
            return "recorded"
        return "replayed" if known.total == total else "conflict"

    def release(self, call: UUID) -> None:
        hold = self.holds.get(call)
        if hold is not None and hold.state in ("open", "unknown"):
            hold.state = "released"
        elif hold is None and call not in self.usage:
            # What is not there is marked, so that it is not taken later. The mark itself is no hold.
            self.holds[call] = ModelHold(0, "released", is_mark=True)

    def mark_unknown(self, call: UUID) -> None:
        hold = self.holds.get(call)
        if hold is not None and hold.state == "open":
            hold.state = "unknown"

    def give_back(self, key: str, call: UUID, amount: int) -> Literal["posted", "replayed", "conflict", "refused"]:
        record = self.usage[call]
        if key not in self.keys and record.given_back + amount > record.total:
            return "refused"
        outcome = self._once(key, ("refund", call, amount), amount)
        if outcome == "posted":
            record.given_back += amount
        return outcome

    def _recorded(self, total: int, answer: str | None) -> ModelUsage:
        self.used += total
        self.entries += total > 0
        usage = ModelUsage(total, answer)
        if answer:
            self.answers.setdefault(answer, usage)
        return usage

    def _once(self, key: str, content: object, delta: int) -> Literal["posted", "replayed", "conflict"]:
        if key in self.keys:
            return "replayed" if self.keys[key] == content else "conflict"
        self.keys[key] = content
        self.granted += delta
        self.entries += 1
        return "posted"
