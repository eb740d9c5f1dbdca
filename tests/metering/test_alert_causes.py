"""What raises alerts: findings of the book, holds that nobody ends, recording that fails or is retried for long."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.alerts import Condition, Phase
from jangbu.domain.flow import Bounds, Call, Settle, TakeHold
from jangbu.domain.usage import Usage
from jangbu.locations import ledger_spool
from jangbu.metering import alert_events
from jangbu.metering.alert_events import AlertEvents
from jangbu.metering.meter import Metering
from jangbu.metering.spool import Spool
from jangbu.providers.gemini import parse_object
from jangbu.storage.database import Database
from jangbu.wiring import alert_delivery, open_metering
from tests.alerts.receiver import Receiver, until


def answer(number: int, total: int = 30, model: str = "gemini-2.5-flash") -> Usage:
    counts = {"promptTokenCount": 10, "candidatesTokenCount": total - 10, "totalTokenCount": total}
    body = {"candidates": [], "usageMetadata": counts, "modelVersion": model, "responseId": f"answer-{number}"}
    return parse_object(body)


async def test_findings_of_a_kind_make_one_alert_in_its_interval(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    async with open_metering(chosen(), delivers=False) as ledger:
        await ledger.accounts.create("kim")
        for number in range(12):
            await ledger.record("kim", "text", answer(number, model="gemini-0-nobody-prices"))
        await ledger.record("kim", "text", answer(100, model="gemini-0-nobody-prices-me"))
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_metering(chosen())) for _ in range(3)]
        await receiver.until(1)
        for number in (101, 102):
            await nodes[0].record("kim", "text", answer(number, model="gemini-0-nobody-prices"))
        for node in nodes:
            await alert_delivery(chosen(), node.clock, node.database).deliver_shared()
        assert len(receiver.received) == 1, "what is found within the hour waits"
        await _let_intervals_end(database)
        await receiver.until(2)
    first, second = (each.json["facts"] for each in receiver.received)
    assert (first["findings"], second["findings"]) == (13, 2)
    assert first["models"] == "gemini-0-nobody-prices, gemini-0-nobody-prices-me"
    assert second["models"] == "gemini-0-nobody-prices"


async def _let_intervals_end(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE jangbu.alert_keys SET told_at = told_at - interval '2 hours'")


async def test_calls_of_unknown_outcome_and_overruns_raise_alerts(
    chosen: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(chosen()) as ledger:
        await ledger.accounts.create("kim")
        await ledger.accounts.grant("kim", 10_000, key="first")
        lost, large = (
            Call(new_id(ledger.clock), "kim", "text", "gemini-2.5-flash", Bounds(10, 10, True)) for _ in range(2)
        )
        for call in (lost, large):
            await ledger.execute(TakeHold(call, base=10, least=20, most=20, take_all=False))
        await ledger.holds.mark_unknown(ledger.accounts.id_of("kim"), lost.id, "it broke off")
        await ledger.execute(Settle(large, answer(1, total=500)))
        await receiver.until(2)
    told = {each.json["condition"]: each.json for each in receiver.received}
    assert set(told) == {"unknown_outcome", "overrun"}
    assert told["unknown_outcome"]["facts"] == {"findings": 1, "call": str(lost.id)}
    assert "kim" not in str(told), "no user leaves in an alert"


async def test_holds_that_nobody_ends_raise_an_alert(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    async with open_metering(chosen(), delivers=False) as ledger:
        await ledger.accounts.create("kim")
        await ledger.accounts.grant("kim", 10_000, key="first")
        call = Call(new_id(ledger.clock), "kim", "text", "gemini-2.5-flash", Bounds(10, 10, True))
        await ledger.execute(TakeHold(call, base=10, least=20, most=20, take_all=False))
        other = alert_delivery(chosen(), ledger.clock, ledger.database)
        await other.deliver_shared()
        assert receiver.received == []
        async with database.connection() as connection:
            await connection.execute("UPDATE jangbu.holds SET expires_at = clock_timestamp() - interval '6 minutes'")
        await alert_delivery(chosen(), ledger.clock, ledger.database).deliver_shared()
    assert [each.json["condition"] for each in receiver.received] == ["hold_leak"]
    assert receiver.received[0].json["facts"] == {"holds": 1, "tokens": 20}


async def test_recording_that_fails_is_told_and_so_is_its_end(
    chosen: Callable[..., Settings], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "jangbu.alerts"):
        async with open_metering(chosen()) as ledger:
            telemetry.emit("recorder.failed", message="PostgreSQL does not answer: ('10.0.0.1', 5432)", usage_id="c-1")
            telemetry.emit("recorder.flushed", rows=1, failed=1, spooled=0, lane=0)
            await receiver.until(1)
            telemetry.emit("recorder.flushed", rows=3, failed=1, spooled=1, lane=0)
            await receiver.until(2)
            await until(lambda: _all_delivered(ledger, 2))
    began, ended = (each.json for each in receiver.received)
    assert (began["phase"], ended["phase"]) == ("began", "ended")
    # By the clock of a busy machine a moment has passed until it is told.
    assert began["facts"].pop("seconds") in range(10)
    assert began["facts"] == {"failures": 1, "cause": "PostgreSQL does not answer", "call": "c-1"}
    # What the process tells is heard by every ledger in it: those that other tests left open tell of it, too.
    own = [record for record in caplog.records if any(told["id"] in record.getMessage() for told in (began, ended))]
    assert [record.levelname for record in own] == ["ERROR", "WARNING"]
    assert "Usage could not be recorded (PostgreSQL does not answer)" in caplog.text


def left_with_a_record_that_cannot_be_decoded(directory: Path) -> None:
    spool = Spool.open(directory, segment_bytes=65_536, clock=SystemClock())
    spool.append([b"no record of kim"])
    spool.close()


def left_with_a_record_that_cannot_be_read(directory: Path) -> None:
    left_with_a_record_that_cannot_be_decoded(directory)
    (segment,) = (path for path in directory.iterdir() if b"no record of kim" in path.read_bytes())
    segment.write_bytes(segment.read_bytes().replace(b"no record", b"NO RECORD"))


@pytest.mark.parametrize(
    ("leave", "cause"),
    [
        (left_with_a_record_that_cannot_be_decoded, "can never be recorded"),
        (left_with_a_record_that_cannot_be_read, "cannot be read any more"),
    ],
)
async def test_usage_that_is_lost_in_the_spool_is_told_as_recording_that_failed(
    chosen: Callable[..., Settings], receiver: Receiver, leave: Callable[[Path], None], cause: str
) -> None:
    directory = ledger_spool(chosen()) / "a-process-that-died"
    leave(directory)
    async with open_metering(chosen()):
        await receiver.until(1)
    told = receiver.received[0].json
    assert (told["condition"], told["phase"]) == ("recording_failed", "began")
    assert cause in told["facts"]["cause"]
    assert "kim" not in str(told), "no user leaves in an alert"
    assert str(directory) not in str(told)


@pytest.mark.parametrize(
    "taken", [("recorder.flushed", {"rows": 2, "failed": 0, "spooled": 1}), ("spool.drained", {"records": 1})]
)
def test_what_goes_to_the_spool_does_not_end_a_trouble_and_what_the_database_takes_does(
    monkeypatch: pytest.MonkeyPatch, taken: tuple[str, dict[str, int]]
) -> None:
    monkeypatch.setattr(alert_events, "_QUIET_SECONDS", 0)
    told: list[Phase] = []
    events = AlertEvents(lambda _condition, _facts, *, phase: told.append(phase), delay_seconds=60)
    events.listen()
    telemetry.emit("recorder.failed", message="PostgreSQL does not answer")
    telemetry.emit("recorder.flushed", rows=2, failed=1, spooled=1, lane=0)
    events.tick()
    assert told == [Phase.BEGAN]
    telemetry.emit(taken[0], **taken[1])
    events.tick()
    events.stop()
    assert told == [Phase.BEGAN, Phase.ENDED]


@asynccontextmanager
async def retrying() -> AsyncIterator[None]:
    """Tell of retries, as the recorder does while the database is away."""

    async def retry() -> None:
        while True:
            telemetry.emit("recorder.retried", attempt=2)
            await asyncio.sleep(0.2)

    task = asyncio.create_task(retry())
    yield
    task.cancel()


async def test_recording_that_is_retried_for_long_is_told(chosen: Callable[..., Settings], receiver: Receiver) -> None:
    async with open_metering(chosen(alert_delay_seconds=1)):
        async with retrying():
            await receiver.until(1)
        assert receiver.received[0].json["condition"] == "recording_delayed"


async def test_alerts_are_told_in_the_language_that_was_chosen(
    chosen: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(chosen(alert_language="ko")) as ledger:
        ledger.alerts.raise_(Condition.VERIFY_MISMATCH, {"mismatches": 2, "invariants": "held"})
        await receiver.until(1)
    assert receiver.received[0].json["text"].startswith("장부가 2곳에서 맞지 않습니다(held).")


async def _all_delivered(ledger: Metering, number: int) -> bool:
    rows = await ledger.alerts.page(only_undelivered=False, limit=100)
    return sum(row.delivered_at is not None for row in rows) == number
