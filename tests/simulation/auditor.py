"""Compares every state of the book with what it may be, given what the provider really answered and to whom."""

import json
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

from jangbu.domain.flow import Receipt
from jangbu.storage.usage import UsageRow
from tests.simulation.book import TOKENS, Book
from tests.simulation.plan import Answer, CallPlan, HandedPlan, Plan, TopUp
from tests.simulation.tables import Account, Balance, Hold, Usage

GIVEN_UP = "no answer"
"""Why an operator gives a hold back."""
_USES = ("usage", "overrun")


@dataclass(slots=True)
class _Seen:
    """How much of an account was looked at before, and what it came to."""

    usage: int = 0
    used: int = 0
    excess: int = 0
    """By how much records exceeded what was held for them."""
    available: int = 0
    entries: dict[int, int] = field(default_factory=dict)
    granted: dict[int, int] = field(default_factory=dict)
    given_back: set[UUID] = field(default_factory=set)


class Auditor:
    """``wrong`` collects what may not be. Whoever finds something there has found a bug, or a wrong auditor."""

    def __init__(self, book: Book, plan: Plan) -> None:
        self._book = book
        self._plan = plan
        self.calls: dict[UUID, CallPlan] = {}
        self._answers: dict[int, Answer] = {each.answer.serial: each.answer for each in plan.calls}
        self._answers |= {each.wrong.serial: each.wrong for each in plan.calls if each.wrong is not None}
        self._handed: dict[int, HandedPlan] = {each.answer.serial: each for each in plan.handed}
        self._recorded: dict[int, UUID] = {}
        self._seen: dict[UUID, _Seen] = {}
        self.wrong: list[str] = []

    def say(self, what: str) -> None:
        self.wrong.append(what)

    def look(self, account: Account) -> None:
        """Compare an account after a statement that may have changed it."""
        seen = self._seen.setdefault(account.id, _Seen())
        excess = seen.excess
        for asset, balance in account.balances.items():
            self._look_at_entries(account, asset, balance, seen)
        for usage in islice(account.usage.values(), seen.usage, None):
            self._look_at_usage(account, usage, seen)
        if len(account.usage) < seen.usage:
            self.say(f"{account.user}: a record is gone")
        seen.usage = len(account.usage)
        balance = account.balances[TOKENS]
        if balance.used != seen.used:
            self.say(f"{account.user}: {balance.used} tokens are used by the balance, {seen.used} by the records")
        held = sum(hold.amount for hold in account.holds.values() if hold.holds)
        if balance.held != held:
            self.say(f"{account.user}: {balance.held} tokens are held by the balance, {held} by the holds")
        # Only what a record exceeded its hold by takes a balance below zero, and only as far as it did so just now.
        excess = seen.excess - excess
        if balance.available < min(seen.available, 0) - excess:
            self.say(f"{account.user}: {balance.available} tokens are left of {seen.available}, and {excess} exceeded")
        seen.available = balance.available
        for hold in account.holds.values():
            if hold.state in ("released", "expired") and hold.id not in seen.given_back:
                seen.given_back.add(hold.id)
                self._look_at_given_back(hold)

    def taken(self, account: Account, amount: int) -> None:
        """A hold was taken: it must have been affordable."""
        if account.balances[TOKENS].available < 0:
            self.say(f"{account.user}: {amount} tokens were held that were not there")

    def sending(self, account: Account, call: CallPlan) -> None:
        """A call leaves now: its intent must be durable."""
        hold = account.holds.get(call.id)
        if hold is None or not hold.holds:
            self.say(f"call {self.number(call.id)} leaves without a hold")

    def released(self, call: CallPlan, receipt: Receipt | None) -> None:
        """The client gets the last byte of an answer now: it must be recorded, or on a disk, as the end will show."""
        call.is_released = True
        answer = call.answer
        is_spooled = receipt is not None and receipt.available is None
        if receipt is None and self._is_settled_otherwise(call):
            pass
        elif answer.serial not in self._recorded and not is_spooled:
            self.say(f"call {self.number(call.id)} is released and not recorded")
        elif receipt is None or receipt.charged_tokens != answer.total:
            self.say(f"call {self.number(call.id)} is told {receipt and receipt.charged_tokens}, not {answer.total}")
        hold = self._account(call.user).holds.get(call.id)
        # A hold that is inserted again after its settlement is the sweeper's to close.
        if hold is not None and hold.holds and not hold.is_again and not is_spooled:
            self.say(f"call {self.number(call.id)} is released, and tokens are held for it")

    def end(self) -> None:
        """Compare the whole, after the sweep: nothing is under way any more."""
        for account in self._book.accounts.values():
            for hold in account.holds.values():
                if hold.state == "open":
                    self.say(f"call {self.number(hold.id)}: its hold is open after the sweep")
                if hold.holds and hold.id in account.usage:
                    self.say(f"call {self.number(hold.id)} is recorded, and its hold is {hold.state}")
            self._look_at_findings(account)
        for call in self.calls.values():
            self._end_of_call(call)
        for handed in self._plan.handed:
            if handed.is_told and handed.answer.serial not in self._recorded:
                self.say(f"the answer {handed.answer.serial} that was handed over is not recorded")
        for top_up in self._plan.top_ups:
            if top_up.is_told and not self._is_granted(top_up):
                self.say(f"{top_up.user} bought {top_up.amount} tokens, and they are not granted")

    def all_are_back(self) -> None:
        """Compare the book of a standby that was sent what the spools keep: no acknowledged answer may be missing."""
        for call in self.calls.values():
            if call.is_released and not self.is_recorded(call.answer) and not self._is_settled_otherwise(call):
                self.say(f"call {self.number(call.id)} was released, and is lost with a fail-over")
        for handed in self._plan.handed:
            if handed.is_told and not self.is_recorded(handed.answer):
                self.say(f"the answer {handed.answer.serial} that was handed over is lost with a fail-over")

    def number(self, call: UUID) -> str:
        """Give the number of a call in the plan, which says more than its id."""
        return str(next((n for n, known in enumerate(self.calls) if known == call), call))

    def is_recorded(self, answer: Answer) -> bool:
        return answer.serial in self._recorded

    def _account(self, user: str) -> Account:
        return next(each for each in self._book.accounts.values() if each.user == user)

    def _is_granted(self, top_up: TopUp) -> bool:
        entries = self._account(top_up.user).balances[TOKENS].entries
        return any(entry.kind == "grant" and entry.delta == top_up.amount for entry in entries)

    def _end_of_call(self, call: CallPlan) -> None:
        account = self._account(call.user)
        hold = account.holds.get(call.id)
        is_held = hold is not None and hold.holds
        # An operator who tried to end a call excuses nothing: what counts is what the book says they did.
        is_over = _is_given_up(call, hold) or any(map(self.is_recorded, call.evidence))
        name = f"call {self.number(call.id)} ({call.mode.value})"
        if not self.is_recorded(call.answer) and not self._is_settled_otherwise(call):
            if call.is_released:
                self.say(f"{name} was released and is not recorded")
            if call.is_owed:
                self.say(f"{name} was answered and written down, and is not recorded")
        for evidence in call.charged:
            if not self.is_recorded(evidence) and not self._is_settled_otherwise(call):
                self.say(f"{name} was settled by the answer {evidence.serial}, and that is not recorded")
        if call.reported is not None and not self.is_recorded(call.reported) and not is_held and not is_over:
            self.say(f"{name} was answered, and is neither recorded nor held")
        if call.is_sent and not call.cost_nothing and call.reported is None and not is_held and not is_over:
            self.say(f"{name} left, nobody knows what became of it, and nothing is held for it")

    def _look_at_entries(self, account: Account, asset: int, balance: Balance, seen: _Seen) -> None:
        known = seen.entries.get(asset, 0)
        granted = seen.granted.get(asset, 0)
        after = balance.entries[known - 1].balance_after if known else 0
        for entry in balance.entries[known:]:
            known += 1
            after += entry.delta
            if entry.seq != known or entry.balance_after != after:
                self.say(f"{account.user}: entry {entry.seq} leaves {entry.balance_after}; {known} shall leave {after}")
            if entry.kind not in _USES:
                granted += entry.delta
        if known != balance.version or balance.granted - balance.used != after or balance.granted != granted:
            self.say(f"{account.user}: the balance is {balance.granted} - {balance.used} at {balance.version}")
        seen.entries[asset], seen.granted[asset] = known, granted
        if asset == TOKENS:
            bought = [entry.delta for entry in balance.entries if entry.kind == "grant"]
            if len(set(bought)) != len(bought):
                self.say(f"{account.user}: tokens were granted twice")

    def _look_at_usage(self, account: Account, usage: Usage, seen: _Seen) -> None:
        row = usage.row
        seen.used += row.total
        seen.excess += max(0, row.total - (usage.hold_amount or 0))
        serial = json.loads(row.raw)["usage"][0]["serial"]
        handed = self._handed.get(serial)
        answer = handed.answer if handed is not None else self._answers.get(serial)
        if serial in self._recorded:
            self.say(f"{account.user}: answer {serial} is recorded twice")
        self._recorded[serial] = row.id
        if answer is None or row.total != answer.total:
            self.say(f"{account.user}: answer {serial} is recorded with {row.total} tokens")
        elif handed is not None and handed.user != account.user:
            self.say(f"{account.user}: answer {serial} is recorded, and {handed.user} handed it over")
        elif handed is None and not self._may_be(row, answer, account):
            self.say(f"{account.user}: answer {serial} is recorded for a call that it does not belong to")

    def _may_be(self, row: UsageRow, answer: Answer, account: Account) -> bool:
        """Tell whether an answer may stand under an id: its call's, or one of its own where another settled the call
        and both bear ids.
        """
        call = self.calls.get(row.id)
        if call is not None:
            return call.user == account.user and _is_of(call, answer)
        return row.response_id is not None and any(
            each.user == account.user and _is_of(each, answer) and each.wrong is not None and _is_settled(each, account)
            for each in self.calls.values()
        )

    def _is_settled_otherwise(self, call: CallPlan) -> bool:
        """Tell whether a mistaken operator settled a call before its own answer did, and no ids tell the two apart, or
        the other way round: the first record stands then.
        """
        if call.wrong is None or call.wrong not in call.evidence:
            return False
        first = self._account(call.user).usage.get(call.id)
        return first is not None and None in (call.wrong.response_id, call.answer.response_id)

    def _look_at_given_back(self, hold: Hold) -> None:
        call = self.calls.get(hold.id)
        if call is not None and call.is_sent and not call.cost_nothing and not _is_given_up(call, hold):
            self.say(f"call {self.number(hold.id)} may have been answered, and its hold is given back")

    def _look_at_findings(self, account: Account) -> None:
        shown = {id_ for (id_, kind), each in account.findings.items() if kind == "unknown_outcome" and each.is_open}
        unknown = {hold.id for hold in account.holds.values() if hold.state == "unknown"}
        for id_ in unknown - shown:
            self.say(f"call {self.number(id_)} is of unknown outcome, and nobody is told")
        for id_ in shown - unknown:
            self.say(f"call {self.number(id_)} is shown as of unknown outcome, and is not")


def _is_given_up(call: CallPlan, hold: Hold | None) -> bool:
    """Tell whether an operator gave a call's hold back, and nobody else."""
    return call.given_up and hold is not None and hold.state == "released" and hold.reason == GIVEN_UP


def _is_settled(call: CallPlan, account: Account) -> bool:
    """Tell whether a call is settled: by its own record, or by that of its answer, which may stand under another."""
    given = call.answer.response_id
    return call.id in account.usage or any(
        given is not None and each.row.response_id == given for each in account.usage.values()
    )


def _is_of(call: CallPlan, answer: Answer) -> bool:
    return call.reported is answer or answer in call.evidence
