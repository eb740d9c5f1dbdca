"""Metering: an answer is recorded once however it comes, and nothing that was answered is lost for its looks."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Held, MarkUnknown, Receipt, Settle, TakeHold
from jangbu.domain.ledger import Asset
from jangbu.domain.pricing import MARKUP_MAX, Meter, Price, Terms
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.errors import IdempotencyConflict, InvalidInput, InvalidMetadata, NotFound
from jangbu.metering.evidence import restated
from jangbu.metering.meter import Metering
from jangbu.metering.verify import Verification
from jangbu.wiring import open_metering
from tests.metering.later import end_grants, it_is


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


async def test_a_grant_that_ends_at_infinity_never_expires(metering: Metering) -> None:
    """So ends what was granted until the calendar's last moment, which the driver of PostgreSQL takes for it."""
    async with metering.database.connection() as connection:
        await connection.execute("UPDATE jangbu.grants SET expires_at = 'infinity'")
    [grant] = await metering.accounts.grants("kim")
    assert grant.expires_at is None
    posted = await metering.accounts.grant("kim", 5, key="order-2")
    assert posted.balance.available == 100_005


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


async def test_to_settle_again_is_harmless_also_where_two_answers_bear_one_id(metering: Metering) -> None:
    call = Call(new_id(SystemClock()), "kim", "chat", "m", Bounds(1000, 1000, output_chosen=True))
    await settled(metering, answer())
    await metering.execute(TakeHold(call, 1000, 2000, 2000))
    first = await metering.execute(Settle(call, answer(prompt=200)))
    again = await metering.execute(Settle(call, answer(prompt=200)))
    assert isinstance(first, Receipt)
    assert isinstance(again, Receipt)
    assert (again.id, again.charged_tokens, again.replayed) == (first.id, 250, True)
    with pytest.raises(IdempotencyConflict):
        await metering.execute(Settle(call, answer(prompt=300)))
    assert (await metering.accounts.balance("kim")).used == 400


async def test_answers_under_one_id_are_all_charged_also_when_they_come_at_once(metering: Metering) -> None:
    prompts = (100, 300, 500)
    receipts = await asyncio.gather(*(settled(metering, answer(prompt=prompt)) for prompt in prompts))
    assert [receipt.charged_tokens for receipt in receipts] == [150, 350, 550]
    balance = await metering.accounts.balance("kim")
    assert (balance.used, balance.held) == (150 + 350 + 550, 0)


async def test_one_answer_that_several_calls_bring_at_once_is_charged_once_and_leaves_nothing_held(
    metering: Metering,
) -> None:
    receipts = await asyncio.gather(*(settled(metering, answer()) for _ in range(4)))
    assert len({receipt.id for receipt in receipts}) == 1
    balance = await metering.accounts.balance("kim")
    assert (balance.used, balance.held) == (150, 0)


async def test_what_is_too_dear_for_a_number_is_recorded_all_the_same(metering: Metering) -> None:
    in_force = metering.pricing.in_force
    await metering.pricing.put(in_force.base, Terms(MARKUP_MAX), "as dear as can be")
    receipt = await settled(metering, answer(prompt=20_000_000_000_000))
    assert receipt.charged_tokens == 20_000_000_000_050


async def test_a_finding_that_evidence_did_not_see_is_closed_by_the_sweeper(metering: Metering) -> None:
    receipt = await settled(metering, answer())
    async with metering.database.connection() as connection:
        await connection.execute(
            "INSERT INTO jangbu.findings (account_id, usage_id, kind, detail) VALUES ($1, $2, 'unknown_outcome', 'x')",
            metering.accounts.id_of("kim"),
            receipt.id,
        )
    assert await metering.holds.close_findings() == 1
    assert await metering.holds.close_findings() == 0


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


def nested(depth: int) -> dict[str, Any]:
    """Give an object within an object, and so on."""
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"a": found}
    return found


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "\x00"},
        {"a\x00": 1},
        {"a": "\ud800"},
        {"a": "x" * 5000},
        {str(n): n for n in range(40)},
        {"a": {"b": {"c": {}}}},
        {"a": nested(100_000)},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": 10**5_000},
        {"a": object()},
        {"a": 1, "b": {1: "one", "1": "another"}},
        {"jangbu_key": "0192f3a0-0000-7000-8000-000000000001"},
        {"jangbu_key": None},
    ],
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


async def test_a_call_id_and_the_answers_own_id_both_keep_an_answer_from_being_charged_twice(
    metering: Metering,
) -> None:
    first = await settled(metering, answer())
    for call_key in ("call-1", "call-2", "call-1"):
        again = await metering.record("kim", "text_generation", answer(), call_key=call_key)
        assert (again.id, again.replayed) == (first.id, True)
    by_key = await metering.record("kim", "chat", answer(response_id="r2"), call_key="call-3")
    assert (await metering.record("kim", "chat", answer(response_id="r2"))).id == by_key.id
    assert (await metering.accounts.balance("kim")).used == 300


async def test_other_counts_under_one_answers_id_keep_the_hold_and_show_the_overrun(metering: Metering) -> None:
    await settled(metering, answer())
    receipt = await settled(metering, answer(prompt=3000))
    assert (receipt.held_before, receipt.overrun) == (2000, 1050)
    assert (await metering.accounts.balance("kim")).held == 0


async def test_evidence_closes_the_finding_of_an_unknown_outcome(metering: Metering) -> None:
    call = Call(new_id(SystemClock()), "kim", "chat", "m", Bounds(100, 100, output_chosen=True))
    await metering.execute(TakeHold(call, 100, 200, 200))
    await metering.execute(MarkUnknown(call, "the connection broke"))
    assert await open_findings(metering) == ["unknown_outcome"]
    await metering.execute(Settle(call, answer()))
    assert await open_findings(metering) == []
    assert (await metering.accounts.balance("kim")).held == 0


async def open_findings(metering: Metering) -> list[str]:
    async with metering.database.connection() as connection:
        rows = await connection.fetch("SELECT kind FROM jangbu.findings WHERE resolved_at IS NULL ORDER BY kind")
    return [row["kind"] for row in rows]


@pytest.mark.parametrize("text", ["생일 🎂", "C:\\ud83d", "\\u0000", "tab\tand\nline"])
async def test_every_character_that_can_be_stored_is_stored(metering: Metering, text: str) -> None:
    receipt = await settled(metering, answer(), metadata={"tags": {"note": text}})
    async with metering.database.connection() as connection:
        stored = await connection.fetchval(
            "SELECT metadata #>> '{tags,note}' FROM jangbu.usage WHERE id = $1", receipt.id
        )
    assert stored == text


async def test_more_refunds_at_once_than_connections(metering: Metering) -> None:
    receipts = [await metering.record("kim", "chat", answer(response_id=f"r{n}")) for n in range(12)]
    posted = await asyncio.gather(
        *(metering.accounts.refund("kim", each.id, 50, reason="sorry", key=f"refund-{each.id}") for each in receipts)
    )
    assert not any(each.replayed for each in posted)
    assert (await metering.accounts.balance("kim")).granted == 100_000 + 12 * 50


async def test_a_void_gives_back_what_refunds_left(metering: Metering) -> None:
    call = (await metering.record("kim", "chat", answer())).id
    await metering.accounts.refund("kim", call, 30, reason="half", key="half")
    assert not (await metering.accounts.void("kim", call, reason="all")).replayed
    assert (await metering.accounts.void("kim", call, reason="all")).replayed
    assert (await metering.accounts.balance("kim")).granted == 100_000 + 150
    with pytest.raises(InvalidInput, match="given back already"):
        await metering.accounts.refund("kim", call, 1, reason="more", key="more")


async def test_the_keys_of_grants_and_calls_never_meet(metering: Metering) -> None:
    await metering.accounts.grant("kim", 10, key="call:order-1")
    receipt = await metering.record("kim", "chat", answer(), call_key="order-1")
    assert not receipt.replayed


async def test_all_grants_that_are_due_expire_in_one_sweep(metering: Metering, monkeypatch: pytest.MonkeyPatch) -> None:
    users = [f"user-{number}" for number in range(450)]
    for user in users:
        await metering.accounts.create(user)
    soon = await metering.database.now() + timedelta(minutes=5)
    await asyncio.gather(*(metering.accounts.grant(user, 10, key="g", expires_at=soon) for user in users))
    it_is(monkeypatch, soon + timedelta(seconds=1))
    await end_grants(metering.database)
    assert (await metering.accounts.grant(users[0], 10, key="g", expires_at=soon)).replayed
    with pytest.raises(InvalidInput, match="passed"):
        await metering.accounts.grant(users[1], 10, key="another", expires_at=soon)
    assert await metering.accounts.expire_grants() >= len(users) - 2
    assert await metering.accounts.expire_grants() == 0
    assert (await metering.accounts.balance(users[-1])).granted == 0


async def test_a_name_that_is_new_to_the_process_does_not_lose_a_record_to_a_restart(metering: Metering) -> None:
    await metering.record("kim", "chat", answer())
    async with metering.database.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )
    receipt = await settled(metering, answer(model="gemini-never-seen", response_id="r9"))
    assert receipt.model == "gemini-never-seen"


@pytest.mark.parametrize("amount", [1.9, True, "5", None, 0, -1, 2**63])
async def test_only_whole_tokens_are_granted(metering: Metering, amount: Any) -> None:
    with pytest.raises(InvalidInput):
        await metering.accounts.grant("kim", amount, key="odd")
    assert (await metering.accounts.balance("kim")).granted == 100_000


async def test_a_void_gives_the_money_back_too(metering: Metering) -> None:
    await metering.accounts.grant("kim", 1_000_000_000, key="money-1", asset=Asset.MONEY)
    call = (await metering.record("kim", "chat", answer())).id
    before = await metering.accounts.balance("kim", Asset.MONEY)
    await metering.accounts.void("kim", call, reason="all")
    after = await metering.accounts.balance("kim", Asset.MONEY)
    assert after.posted == before.posted + before.used == 1_000_000_000


async def test_a_run_that_is_still_under_way_claims_nothing(metering: Metering) -> None:
    pending = answer(counts=Counts(), source=Source.NONE, raw=())
    await metering.record("kim", "chat", pending)
    assert (await metering.record("kim", "chat", answer())).charged_tokens == 150


async def test_there_are_only_so_many_services_beside_those_of_calls_that_name_none(database_url: str) -> None:
    async with open_metering(Settings.load(database_url=database_url, services_max=2)) as metering:
        await metering.accounts.create("kim")
        await metering.record("kim", "comic", answer(response_id="1"))
        await metering.record("kim", "novel", answer(response_id="2"))
        with pytest.raises(InvalidMetadata, match="there are 2 services already"):
            await metering.record("kim", "poem", answer(response_id="3"))
        call = Call(new_id(SystemClock()), "kim", "poem", "gemini-2.5-flash", Bounds(0, 0, output_chosen=True))
        with pytest.raises(InvalidMetadata, match="there are 2 services already"):
            await metering.execute(TakeHold(call, 0, 0, 0))
        await metering.record("kim", "comic", answer(response_id="4"))
        await metering.record("kim", "text_generation", answer(response_id="5"))
