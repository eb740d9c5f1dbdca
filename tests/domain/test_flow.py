"""The life of a call, in every combination of balance, policy and outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.flow import (
    OUTPUT_LIMIT_LEAST,
    Answered,
    Bounds,
    Call,
    CountInput,
    Effect,
    Held,
    Lost,
    MarkUnknown,
    Outcome,
    Receipt,
    Refused,
    Rejected,
    Release,
    Send,
    Settle,
    ShortBalance,
    TakeHold,
    metered_call,
)
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.errors import InsufficientBalance, JangbuError

CALL = Call(UUID(int=1), "kim", "text_generation", "gemini-2.5-flash", Bounds(100, 1000, output_chosen=True))
USAGE = Usage(Surface.GENERATE_CONTENT, Counts(10, 20, total=30), Source.REPORTED)
RECEIPT = Receipt(CALL.id, "kim", "gemini-2.5-flash", 30, None, 70)
ANSWERED = Answered(USAGE)
OUTCOMES: Sequence[Outcome] = (ANSWERED, Rejected("429"), Lost("reset"))


@dataclass
class Driver:
    """Plays the ledger and the provider, and notes what was asked of them."""

    available: int
    counted: int | None = None
    outcome: Outcome = ANSWERED
    effects: list[Effect] = field(default_factory=list)

    def drive(self, call: Call) -> Receipt | None:
        life = metered_call(call)
        answer: object = None
        while True:
            try:
                effect = life.send(answer)
            except StopIteration as end:
                result: Receipt | None = end.value
                return result
            self.effects.append(effect)
            answer = self.answer(effect)

    def answer(self, effect: Effect) -> object:
        match effect:
            case TakeHold(base=base, least=least, most=most, take_all=take_all):
                wanted = (
                    min(most, self.available)
                    if take_all
                    else min(most, max(least, base + (self.available - base) // 2))
                )
                return Held(wanted) if least <= wanted <= self.available else Refused(least, self.available)
            case CountInput():
                return self.counted
            case Send():
                return self.outcome
            case Settle():
                return RECEIPT
            case _:
                return None

    def asked(self, kind: type[Effect]) -> list[Effect]:
        return [effect for effect in self.effects if isinstance(effect, kind)]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_was_sent_ends_in_exactly_one_way(outcome: Outcome) -> None:
    driver = Driver(available=5000, outcome=outcome)
    receipt = driver.drive(CALL)
    ends = [effect for effect in driver.effects if isinstance(effect, Settle | Release | MarkUnknown)]
    assert len(ends) == 1
    match outcome:
        case Answered(usage):
            assert ends == [Settle(CALL, usage)]
            assert receipt == RECEIPT
        case Rejected(reason):
            assert ends == [Release(CALL, reason)]
            assert receipt is None
        case Lost(reason):
            assert ends == [MarkUnknown(CALL, reason)]
            assert receipt is None


def test_an_affordable_bound_costs_no_extra_round_trip() -> None:
    driver = Driver(available=1100)
    driver.drive(CALL)
    assert [type(effect) for effect in driver.effects] == [TakeHold, Send, Settle]
    assert driver.asked(Send) == [Send(CALL, None)]


def test_the_input_is_counted_only_when_the_bound_is_not_affordable() -> None:
    driver = Driver(available=1040, counted=40)
    driver.drive(CALL)
    assert [type(effect) for effect in driver.effects] == [TakeHold, CountInput, TakeHold, Send, Settle]


@pytest.mark.parametrize("policy", ShortBalance)
@pytest.mark.parametrize(("output", "candidates", "available"), [(1_000, 1, 1), (1_000, 8, 8), (0, 1, 0), (9, 1, -5)])
def test_for_who_has_next_to_nothing_left_nothing_is_counted(
    policy: ShortBalance, output: int, candidates: int, available: int
) -> None:
    driver = Driver(available, counted=1)
    bounds = Bounds(100, output, output_chosen=True, candidates=candidates)
    with pytest.raises(InsufficientBalance):
        driver.drive(replace(CALL, bounds=bounds, short_balance=policy))
    assert [type(effect) for effect in driver.effects] == [TakeHold]


def test_refuse_raises_before_anything_is_sent() -> None:
    driver = Driver(available=1039, counted=40)
    with pytest.raises(InsufficientBalance) as refused:
        driver.drive(CALL)
    assert (refused.value.needed, refused.value.available) == (1040, 1039)
    assert driver.asked(Send) == []


def test_clamp_lowers_the_output_to_what_the_balance_affords() -> None:
    driver = Driver(available=240, counted=40)
    driver.drive(replace(CALL, short_balance=ShortBalance.CLAMP))
    assert [effect.output_limit for effect in driver.asked(Send) if isinstance(effect, Send)] == [200]


def test_a_limit_is_put_in_where_the_client_set_none() -> None:
    call = replace(CALL, bounds=Bounds(100, 65_536, output_chosen=False))
    driver = Driver(available=10_100)
    driver.drive(call)
    assert driver.asked(Send) == [Send(call, 5000)]


def test_no_limit_is_put_in_where_all_that_the_model_may_write_is_held() -> None:
    call = replace(CALL, bounds=Bounds(100, 65_536, output_chosen=False))
    driver = Driver(available=1_000_000)
    driver.drive(call)
    assert driver.asked(Send) == [Send(call, None)]


def test_all_that_is_held_is_put_in_where_nobody_knows_how_much_a_model_writes() -> None:
    call = replace(CALL, bounds=Bounds(100, 65_536, output_chosen=False, output_ends=False))
    driver = Driver(available=1_000_000)
    driver.drive(call)
    assert driver.asked(Send) == [Send(call, 65_536)]


@pytest.mark.parametrize("chosen", [True, False])
@pytest.mark.parametrize(("available", "limit"), [(1_635, None), (1_636, 1_536), (2_700, 1_536), (4_100, 2_000)])
def test_a_picture_is_made_whole_or_refused(available: int, limit: int | None, chosen: bool) -> None:
    bounds = Bounds(100, 32_768, output_chosen=chosen, output_least=1_536)
    call, driver = replace(CALL, bounds=bounds, short_balance=ShortBalance.CLAMP), Driver(available)
    if limit is None:
        with pytest.raises(InsufficientBalance) as refused:
            driver.drive(call)
        assert (refused.value.needed, driver.asked(Send)) == (1_636, [])
        return
    driver.drive(call)
    assert driver.asked(Send) == [Send(call, available - 100 if chosen else limit)]


@pytest.mark.parametrize(("available", "held"), [(500, 500), (50_000, 50_000), (2_000_000, 1_000_150)])
def test_what_tools_may_feed_back_is_held_for_as_far_as_the_balance_goes(available: int, held: int) -> None:
    call = replace(CALL, bounds=Bounds(100, 50, output_chosen=True, fed_back_most=1_000_000))
    driver = Driver(available)
    driver.drive(call)
    assert [driver.answer(effect) for effect in driver.asked(TakeHold)] == [Held(held)]
    assert driver.asked(Send) == [Send(call, None)]


def test_beside_tools_the_output_that_the_client_did_not_limit_has_half_of_what_is_held() -> None:
    call = replace(CALL, bounds=Bounds(100, 65_536, output_chosen=False, fed_back_most=1_000_000))
    driver = Driver(available=20_100)
    driver.drive(call)
    assert driver.asked(Send) == [Send(call, 10_000)]


@pytest.mark.parametrize("policy", ShortBalance)
@pytest.mark.parametrize(("available", "held"), [(1_100, 1_100), (1_040, 1_040), (1_039, None)])
def test_what_takes_no_limit_is_held_for_in_full_or_refused(
    policy: ShortBalance, available: int, held: int | None
) -> None:
    bounds = Bounds(100, 1_000, output_chosen=False, fed_back_most=1_000_000, takes_limit=False)
    call = replace(CALL, bounds=bounds, short_balance=policy)
    driver = Driver(available, counted=40)
    if held is None:
        with pytest.raises(InsufficientBalance):
            driver.drive(call)
        assert driver.asked(Send) == []
        return
    driver.drive(call)
    assert driver.answer(driver.asked(TakeHold)[-1]) == Held(held)
    assert driver.asked(Send) == [Send(call, None)]


def test_an_input_that_nobody_can_bound_is_not_sent() -> None:
    call = replace(CALL, bounds=Bounds(None, 100, output_chosen=True))
    driver = Driver(available=10_000, counted=None)
    with pytest.raises(JangbuError):
        driver.drive(call)
    assert driver.asked(Send) == []


CANDIDATES = 3
BOUNDS = st.builds(
    Bounds,
    input_most=st.none() | st.integers(0, 5000),
    output_most=st.integers(0, 70_000).map(lambda each: each * CANDIDATES),
    output_chosen=st.booleans(),
    candidates=st.just(CANDIDATES),
    fed_back_most=st.sampled_from([0, 16_384, 1_048_576]),
    takes_limit=st.booleans(),
    output_least=st.sampled_from([1, 1_536, 4_096]),
)


@given(
    bounds=BOUNDS | BOUNDS.map(lambda several: replace(several, output_most=several.output_most // 3, candidates=1)),
    counted=st.none() | st.integers(0, 5000),
    available=st.integers(-100, 200_000),
    policy=st.sampled_from(ShortBalance),
    outcome=st.sampled_from(OUTCOMES),
)
def test_nothing_is_sent_that_the_hold_does_not_cover(
    bounds: Bounds, counted: int | None, available: int, policy: ShortBalance, outcome: Outcome
) -> None:
    driver = Driver(available, counted, outcome)
    try:
        driver.drive(replace(CALL, bounds=bounds, short_balance=policy))
    except JangbuError:
        assert driver.asked(Send) == []
        return
    holds = driver.asked(TakeHold)
    last = holds[-1]
    assert isinstance(last, TakeHold)
    held = driver.answer(last)
    assert isinstance(held, Held)
    (sent,) = driver.asked(Send)
    assert isinstance(sent, Send)
    output = bounds.output_most // bounds.candidates
    limit = output if sent.output_limit is None else sent.output_limit
    assert limit * bounds.candidates <= held.amount - last.base <= max(0, available - last.base)
    if not bounds.takes_limit:
        assert sent.output_limit is None
    assert limit >= min(output, bounds.output_least)
    if not bounds.output_chosen and policy is ShortBalance.REFUSE and output >= OUTPUT_LIMIT_LEAST:
        assert limit >= OUTPUT_LIMIT_LEAST


@pytest.mark.parametrize(("outcome", "policy", "chosen"), list(product(OUTCOMES, ShortBalance, (True, False))))
def test_a_call_for_nothing_is_still_a_call(outcome: Outcome, policy: ShortBalance, chosen: bool) -> None:
    driver = Driver(available=0, outcome=outcome)
    call = replace(CALL, bounds=Bounds(0, 0, chosen), short_balance=policy)
    driver.drive(call)
    assert len(driver.asked(Send)) == 1
