"""The ledger beside its model: whatever is done in whatever order, PostgreSQL and the model agree after each step."""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Held, MarkUnknown, Receipt, Refused, Release, Settle, TakeHold
from jangbu.domain.ledger import Asset
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.errors import IdempotencyConflict, InvalidInput, JangbuError, NotPermitted
from jangbu.metering.evidence import restated
from jangbu.metering.verify import Verification
from jangbu.storage import holds
from jangbu.wiring import open_metering
from tests.model.book import ModelAccount

Result = TypeVar("Result")
USERS = ("kim", "이서연")
AMOUNTS = st.integers(1, 400)
ANSWERS = st.sampled_from(["a", "b", "c"])
KEYS = st.sampled_from(["k1", "k2", "k3", "k4", "k5", "k6"])


def call_of(user: str, call: UUID) -> Call:
    return Call(call, user, "text_generation", "gemini-2.5-flash", Bounds(0, 0, output_chosen=True))


def usage_of(total: int, answer: str | None = None) -> Usage:
    counts = Counts(prompt=total, total=total)
    return Usage(
        Surface.GENERATE_CONTENT,
        counts,
        Source.REPORTED,
        "gemini-2.5-flash",
        answer,
        raw=({"promptTokenCount": total, "totalTokenCount": total},),
    )


class LedgerMachine(RuleBasedStateMachine):
    database_url = ""
    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        chosen = Settings.load(database_url=self.database_url, project=f"machine-{uuid4()}")
        self.metering = self.run(self.stack.enter_async_context(open_metering(chosen)))
        self.project = chosen.project
        self.accounts = {user: ModelAccount() for user in USERS}

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    @initialize()
    def open_accounts(self) -> None:
        for user in USERS:
            assert self.run(self.metering.accounts.create(user))
            assert not self.run(self.metering.accounts.create(user))

    @rule(target=calls, user=st.sampled_from(USERS))
    def begin(self, user: str) -> tuple[str, UUID]:
        return (user, new_id(SystemClock()))

    @rule(user=st.sampled_from(USERS), key=KEYS, amount=AMOUNTS)
    def grant(self, user: str, key: str, amount: int) -> None:
        expected = self.accounts[user].grant(key, amount)
        assert self.outcome(self.metering.accounts.grant(user, amount, key=key)) == expected

    @rule(user=st.sampled_from(USERS), key=KEYS, delta=st.integers(-300, 300).filter(bool))
    def adjust(self, user: str, key: str, delta: int) -> None:
        expected = self.accounts[user].adjust(key, delta)
        assert self.outcome(self.metering.accounts.adjust(user, delta, reason="수정", key=key)) == expected

    @rule(call=calls, amount=AMOUNTS)
    def take(self, call: tuple[str, UUID], amount: int) -> None:
        user, call_id = call
        expected = self.accounts[user].take(call_id, amount)
        try:
            answer = self.run(self.metering.execute(TakeHold(call_of(user, call_id), 0, amount, amount)))
        except NotPermitted:
            assert expected == "blocked"
        except JangbuError:
            assert expected == "used before"
        else:
            match answer:
                case Held(taken):
                    assert expected == "held"
                    assert taken == self.accounts[user].holds[call_id].amount
                case Refused(needed, available):
                    assert expected == "refused"
                    assert (needed, available) == (amount, self.accounts[user].available)

    @rule(call=calls, least=st.integers(1, 50), base=st.integers(0, 40), most=st.integers(50, 600))
    def take_a_share(self, call: tuple[str, UUID], least: int, base: int, most: int) -> None:
        user, call_id = call
        account = self.accounts[user]
        share = min(most, max(least, base + int((account.available - base) / 2)))
        known = account.holds.get(call_id)
        expected = account.take(call_id, share)
        if expected in ("used before", "blocked") or known is not None:
            return
        answer = self.run(self.metering.execute(TakeHold(call_of(user, call_id), base, least, most)))
        assert answer == (Held(share) if expected == "held" else Refused(least, account.available))

    @rule(call=calls, total=st.integers(0, 500))
    def settle(self, call: tuple[str, UUID], total: int) -> None:
        expected = self.accounts[call[0]].settle(call[1], total)
        self.judge(call[0], total, self.metering.execute(Settle(call_of(*call), usage_of(total))), expected)

    @rule(call=calls, total=st.sampled_from([0, 90, 91]), answer=ANSWERS)
    def settle_by_an_answer_with_an_id(self, call: tuple[str, UUID], total: int, answer: str) -> None:
        expected = self.accounts[call[0]].settle(call[1], total, answer)
        self.judge(call[0], total, self.metering.execute(Settle(call_of(*call), usage_of(total, answer))), expected)

    @rule(user=st.sampled_from(USERS), total=st.sampled_from([0, 90, 91]), answer=ANSWERS)
    def hand_over(self, user: str, total: int, answer: str) -> None:
        expected = self.accounts[user].hand_over(total, answer)
        self.judge(user, total, self.metering.record(user, "text_generation", usage_of(total, answer)), expected)

    def judge(self, user: str, total: int, work: Coroutine[Any, Any, Any], expected: str) -> None:
        """Whoever gets a receipt has this very answer recorded, and nobody gets one for another."""
        try:
            receipt = self.run(work)
        except IdempotencyConflict:
            assert expected == "conflict"
            return
        assert isinstance(receipt, Receipt)
        assert ("replayed" if receipt.replayed else "recorded") == expected
        assert receipt.charged_tokens == total
        assert receipt.available == self.accounts[user].available

    @rule(calls_of_a_batch=st.lists(calls, min_size=2, max_size=6), total=st.integers(0, 90))
    def settle_many_at_once(self, calls_of_a_batch: list[tuple[str, UUID]], total: int) -> None:
        expected = [self.accounts[user].settle(call_id, total) for user, call_id in calls_of_a_batch]

        async def at_once() -> list[Receipt | BaseException | Any]:
            settling = [self.metering.execute(Settle(call_of(*call), usage_of(total))) for call in calls_of_a_batch]
            return await asyncio.gather(*settling, return_exceptions=True)

        told = [isinstance(each, IdempotencyConflict) for each in self.run(at_once())]
        assert told == [each == "conflict" for each in expected]

    @rule(call=calls)
    def release(self, call: tuple[str, UUID]) -> None:
        self.accounts[call[0]].release(call[1])
        self.run(self.metering.execute(Release(call_of(*call), "the provider answered 500")))

    @rule(call=calls)
    def lose(self, call: tuple[str, UUID]) -> None:
        self.accounts[call[0]].mark_unknown(call[1])
        self.run(self.metering.execute(MarkUnknown(call_of(*call), "the connection broke")))

    @rule(target=calls, user=st.sampled_from(USERS), amount=AMOUNTS, may_have_left=st.booleans())
    def let_a_hold_expire(self, user: str, amount: int, may_have_left: bool) -> tuple[str, UUID]:
        call_id = new_id(SystemClock())
        if self.accounts[user].take(call_id, amount) == "held":
            self.accounts[user].holds[call_id].state = "unknown" if may_have_left else "expired"
        self.run(self.take_and_expire(user, call_id, amount, may_have_left))
        return (user, call_id)

    async def take_and_expire(self, user: str, call_id: UUID, amount: int, may_have_left: bool) -> None:
        account = self.metering.accounts.id_of(user)
        wanted = holds.HoldRequest(account, call_id, 0, amount, amount, False, "text_generation", "gemini-2.5-flash")
        async with self.metering.database.connection() as connection:
            await holds.take(connection, [wanted], owner="test", seconds=0, may_have_left=may_have_left)
        await self.metering.holds.expire()

    @rule(call=calls, key=KEYS, amount=st.integers(1, 200))
    def refund(self, call: tuple[str, UUID], key: str, amount: int) -> None:
        user, call_id = call
        if call_id not in self.accounts[user].usage:
            return
        expected = self.accounts[user].give_back(f"refund-{key}", call_id, amount)
        refund = self.metering.accounts.refund(user, call_id, amount, reason="사과", key=f"refund-{key}")
        assert self.outcome(refund) == expected

    @rule(user=st.sampled_from(USERS), blocked=st.booleans())
    def block(self, user: str, blocked: bool) -> None:
        self.accounts[user].blocked = blocked
        self.run(self.metering.accounts.block(user, blocked))

    @rule()
    def verify_what_moved(self) -> None:
        """Verify from wherever the last time was, without reading again what was verified then."""
        verification = Verification(self.metering.database, self.project, overlap=timedelta(0))
        report = self.run(verification.run(full=False, recompute=self.metering.pricing.reprice, restate=restated))
        assert report.mismatches == ()

    @invariant()
    def the_balances_agree(self) -> None:
        for user, account in self.accounts.items():
            balance = self.run(self.metering.accounts.balance(user))
            assert (balance.granted, balance.used, balance.held) == (account.granted, account.used, account.held)

    @invariant()
    def the_history_agrees(self) -> None:
        for user, account in self.accounts.items():
            history = self.run(self.metering.accounts.history(user, Asset.TOKENS, None, 1000))
            numbers = [entry.seq for entry in history]
            assert numbers == list(range(len(history), 0, -1))
            assert sum(entry.delta for entry in history) == account.granted - account.used

    @precondition(lambda self: any(account.holds for account in self.accounts.values()))
    @invariant()
    def the_holds_agree(self) -> None:
        for user, account in self.accounts.items():
            rows = self.run(self.metering.holds.page(self.metering.accounts.id_of(user), None, 1000))
            listed = {call: hold for call, hold in account.holds.items() if not hold.is_mark}
            expected = {call: hold.state for call, hold in listed.items() if hold.state != "settled"}
            assert {row.id: row.state for row in rows} == expected

    def teardown(self) -> None:
        try:
            report = self.run(Verification(self.metering.database, self.project).run())
            assert report.mismatches == ()
        finally:
            self.run(self.stack.aclose())
            self.runner.close()

    def outcome(self, work: Coroutine[Any, Any, Any]) -> str:
        try:
            return "replayed" if self.run(work).replayed else "posted"
        except IdempotencyConflict:
            return "conflict"
        except InvalidInput:
            return "refused"


def test_the_ledger_agrees_with_its_model(database_url: str) -> None:
    LedgerMachine.database_url = database_url
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=int(os.environ.get("JANGBU_MACHINE_EXAMPLES", "60")),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
