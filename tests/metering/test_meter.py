"""Metering: an answer is recorded once however it comes, and nothing that was answered is lost for its looks."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Held, Receipt, Settle, TakeHold
from jangbu.domain.ledger import Asset
from jangbu.domain.pricing import Meter, Price, Terms
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.errors import IdempotencyConflict, InvalidInput, InvalidMetadata, NotFound
from jangbu.metering.evidence import restated
from jangbu.metering.meter import Metering
from jangbu.metering.verify import Verification
from jangbu.wiring import open_metering


@pytest.fixture
async def metering(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url)) as opened:
        for user in ("kim", "lee"):
            await opened.accounts.create(user)
            await opened.accounts.grant(user, 100_000, key="order-1")
        yield opened


@pytest.fixture(autouse=True)
async def clean_book(metering: Metering) -> AsyncIterator[None]:
    """Whatever a test did, the book adds up afterwards."""
    yield
    verification = Verification(metering.database, "default")
    report = await verification.run(recompute=metering.pricing.reprice, restate=restated)
    assert report.mismatches == ()


def answer(prompt: int = 100, output: int = 50, **given: Any) -> Usage:
    raw = {"promptTokenCount": prompt, "candidatesTokenCount": output, "totalTokenCount": prompt + output}
    counts = Counts(prompt=prompt, candidates=output, total=prompt + output)
    made = Usage(Surface.GENERATE_CONTENT, counts, Source.REPORTED, "gemini-2.5-flash", "resp-1", raw=(raw,))
    return replace(made, **given)


async def settled(
    metering: Metering, usage: Usage, *, user: str = "kim", metadata: Mapping[str, Any] | None = None
) -> Receipt:
    bounds = Bounds(1000, 1000, output_chosen=True)
    call = Call(new_id(SystemClock()), user, "chat", "asked-for", bounds, metadata=metadata or {})
    assert await metering.execute(TakeHold(call, 1000, 2000, 2000)) == Held(2000)
    receipt = await metering.execute(Settle(call, usage))
    assert isinstance(receipt, Receipt)
    return receipt


async def test_a_settled_answer_that_is_also_handed_over_is_charged_once(metering: Metering) -> None:
    first = await settled(metering, answer())
    again = await metering.record("kim", "text_generation", answer(raw=({"totalTokenCount": 150, "other": 1},)))
    assert (again.id, again.replayed) == (first.id, True)
    assert (await metering.accounts.balance("kim")).used == 150


async def test_an_answer_that_was_handed_over_is_not_settled_again(metering: Metering) -> None:
    first = await metering.record("kim", "text_generation", answer())
    again = await settled(metering, answer())
    assert (again.id, again.replayed) == (first.id, True)
    balance = await metering.accounts.balance("kim")
    assert (balance.used, balance.held) == (150, 0)


async def test_two_answers_under_one_id_are_both_charged_when_they_were_called_for(metering: Metering) -> None:
    await settled(metering, answer())
    await settled(metering, answer(prompt=300))
    assert (await metering.accounts.balance("kim")).used == 150 + 350


async def test_the_same_answer_belongs_to_each_user_apart(metering: Metering) -> None:
    receipts = [await metering.record(user, "chat", answer()) for user in ("kim", "lee")]
    assert [receipt.replayed for receipt in receipts] == [False, False]


async def test_a_call_id_with_another_answer_is_refused(metering: Metering) -> None:
    await metering.record("kim", "chat", answer(), call_key="call-7")
    again = await metering.record("kim", "chat", answer(), call_key="call-7")
    assert again.replayed
    with pytest.raises(IdempotencyConflict):
        await metering.record("kim", "chat", answer(output=51), call_key="call-7")
    assert (await metering.accounts.balance("kim")).used == 150


@pytest.mark.parametrize("model", ["x" * 5000, "a\x00b", "\ud800", "", None, "models/gemini-2.5-flash"])
@pytest.mark.parametrize("response_id", ["r" * 5000, "a\x00b", "\ud800", "", None])
async def test_an_odd_name_in_an_answer_loses_nothing(
    metering: Metering, model: str | None, response_id: str | None
) -> None:
    receipt = await settled(metering, answer(model=model, response_id=response_id))
    assert receipt.charged_tokens == 150
    assert not receipt.replayed


async def test_odd_words_in_the_usage_object_lose_nothing(metering: Metering) -> None:
    raw = {"promptTokenCount": 100, "candidatesTokenCount": 50, "totalTokenCount": 150, "note": "a\x00b\ud800"}
    receipt = await settled(metering, answer(raw=(raw,)))
    assert receipt.cost_nano == 100 * 300 + 50 * 2500


@pytest.mark.parametrize(
    "metadata",
    [{"a": "\x00"}, {"a": "x" * 5000}, {str(n): n for n in range(40)}, {"a": {"b": {"c": {}}}}, {"a": float("nan")}],
)
async def test_metadata_that_cannot_be_stored_is_refused_before_the_call(
    metering: Metering, metadata: dict[str, Any]
) -> None:
    with pytest.raises(InvalidMetadata):
        await settled(metering, answer(), metadata=metadata)
    assert (await metering.accounts.balance("kim")).held == 0


async def test_a_user_without_an_account_is_named(metering: Metering) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await metering.record("nobody", "chat", answer())
    with pytest.raises(NotFound, match="nobody"):
        await settled(metering, answer(), user="nobody")


@pytest.mark.parametrize("call_key", ["", "x" * 201, "a\nb"])
async def test_a_call_id_is_printable_and_short(metering: Metering, call_key: str) -> None:
    with pytest.raises(InvalidInput):
        await metering.record("kim", "chat", answer(), call_key=call_key)


async def test_money_is_the_second_asset(metering: Metering) -> None:
    await metering.record("kim", "chat", answer(response_id="before"))
    await metering.accounts.grant("kim", 1_000_000_000, key="money-1", asset=Asset.MONEY)
    await metering.record("kim", "chat", answer(response_id="after"))
    balance = await metering.accounts.balance("kim", Asset.MONEY)
    assert (balance.granted, balance.used) == (1_000_000_000, 100 * 300 + 50 * 2500)


async def test_what_had_no_price_is_filled_in_and_charged_by_the_projects_terms(metering: Metering) -> None:
    unheard_of: dict[str, Any] = {"model": "gemini-of-tomorrow"}
    await metering.accounts.grant("kim", 1_000_000_000, key="money-1", asset=Asset.MONEY)
    unpriced = await metering.record("kim", "chat", answer(**unheard_of))
    assert unpriced.cost_nano is None
    rows = tuple(Price("gemini-of-tomorrow", meter, 2_000_000_000, "test") for meter in (Meter.INPUT, Meter.OUTPUT))
    terms = Terms(markup_parts_per_million=500_000, overrides=rows)
    before = metering.pricing.in_force
    version, is_new = await metering.pricing.put(before.book, terms, "a price for tomorrow")
    assert is_new
    assert version > before.version
    assert await metering.pricing.backfill() == 1
    assert await metering.pricing.backfill() == 0
    assert (await metering.accounts.balance("kim", Asset.MONEY)).used == 150 * 2000 * 3 // 2
    known = await metering.record("kim", "chat", answer(response_id="later", **unheard_of))
    assert known.cost_nano == 150 * 2000


async def test_a_user_whose_id_looks_like_an_account_id_is_still_only_himself(metering: Metering) -> None:
    disguised = str(metering.accounts.id_of("kim"))
    with pytest.raises(NotFound):
        await metering.record(disguised, "chat", answer())
    await metering.accounts.create(disguised)
    await metering.record(disguised, "chat", answer())
    assert (await metering.accounts.balance("kim")).used == 0
    assert await metering.accounts.user_named(disguised) == "kim"
    assert await metering.accounts.user_named("kim") == "kim"
