"""Alerts: raised once, delivered to whoever listens, whatever dies or is away meanwhile."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from jangbu import telemetry
from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Condition, Phase
from jangbu.metering.alert_delivery import Outcome, wait_ms_after
from jangbu.metering.meter import Metering
from jangbu.storage import alerts
from jangbu.storage.database import Database
from jangbu.wiring import alert_delivery, open_metering
from tests.alerts.receiver import Receiver, until

RAISE_AND_DIE = """
import asyncio, os, signal, sys
from jangbu import telemetry
from jangbu.config import Settings
from jangbu.wiring import open_metering

async def main():
    async with open_metering(Settings.load(), delivers=False):
        telemetry.emit("spool.began", message="a test")
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
DELIVER = """
import asyncio, sys
from jangbu.config import Settings
from jangbu.wiring import open_metering

async def main():
    async with open_metering(Settings.load()):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def files_in(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*.json") if path.parent.parent.name == "alerts"]


async def delivered(ledger: Metering) -> int:
    found = await ledger.alerts.page(only_undelivered=False, limit=1000)
    return sum(row.delivered_at is not None for row in found)


async def test_an_alert_arrives_and_is_noted(
    chosen: Callable[..., Settings], receiver: Receiver, tmp_path: Path
) -> None:
    async with open_metering(chosen()) as ledger:
        raised = ledger.alerts.raise_(Condition.RECORDING_FAILED, {"cause": "a test", "call": "x"})
        assert raised is not None
        await receiver.until(1)
        await until(lambda: delivered(ledger))
        [row] = await ledger.alerts.page(only_undelivered=False, limit=10)
    assert receiver.ids == [str(raised.id)]
    assert (row.alert, row.attempts, row.delivered_to, row.errors) == (raised, 1, ("webhook",), {})
    assert files_in(tmp_path) == []


async def test_the_same_is_told_once_in_its_interval_by_all_processes(
    chosen: Callable[..., Settings], receiver: Receiver
) -> None:
    async with open_metering(chosen()) as one, open_metering(chosen()) as two:
        raised = [ledger.alerts.raise_(Condition.RECORDING_FAILED, {"cause": "a test"}) for ledger in (one, two) * 50]
        ended = one.alerts.raise_(Condition.RECORDING_FAILED, {}, phase=Phase.ENDED)
        assert sum(each is not None for each in raised) == 1
        assert ended is not None, "its end is another thing to tell"
        await receiver.until(2)
        await until(lambda: _all_delivered(one, 2))
    assert len(receiver.ids) == 2


async def test_what_every_node_sees_is_told_by_one_of_them(
    chosen: Callable[..., Settings], receiver: Receiver, tmp_path: Path
) -> None:
    """Nodes share nothing but the database: each has a data directory of its own."""
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(open_metering(chosen(spool_dir=tmp_path / str(number))))
            for number in range(4)
        ]
        for node in nodes:
            assert node.alerts.raise_(Condition.VERIFY_MISMATCH, {"mismatches": 1, "invariants": "held"})
        await receiver.until(1)
        await until(lambda: files_in(tmp_path) == [])
        [row] = await nodes[0].alerts.page(only_undelivered=False, limit=10)
        assert receiver.ids == [str(row.alert.id)]


async def _all_delivered(ledger: Metering, number: int) -> bool:
    return await delivered(ledger) == number


async def test_many_nodes_deliver_each_alert_once(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    raised = [a_test(number) for number in range(60)]
    for alert in raised:
        assert await alerts.raise_(database, alert, told_as=alert.key, repeat_ms=60_000)
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_metering(chosen())) for _ in range(4)]
        await receiver.until(len(raised))
        await until(lambda: _all_delivered(nodes[0], len(raised)))
    assert sorted(receiver.ids) == sorted(str(alert.id) for alert in raised)


def a_test(number: int) -> Alert:
    clock = SystemClock()
    return Alert(
        new_id(clock), "default", Condition.TEST, Phase.BEGAN, f"test-{number}", "host", clock.now(), {"number": number}
    )


async def test_an_alert_outlives_the_process_that_raised_it(
    chosen: Callable[..., Settings], receiver: Receiver, environment: dict[str, str], tmp_path: Path
) -> None:
    dying = await asyncio.create_subprocess_exec(sys.executable, "-c", RAISE_AND_DIE, env=environment)
    assert await dying.wait() == -signal.SIGKILL
    assert (len(files_in(tmp_path)), receiver.received) == (1, [])
    async with open_metering(chosen()) as ledger:
        await receiver.until(1)
        await until(lambda: delivered(ledger))
    assert receiver.received[0].json["condition"] == "recording_spooled"


async def test_a_node_that_is_killed_while_it_sends_leaves_the_alert_to_another(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database, environment: dict[str, str]
) -> None:
    receiver.is_silent = True
    alert = a_test(1)
    await alerts.raise_(database, alert, told_as="test", repeat_ms=0)
    dying = await asyncio.create_subprocess_exec(sys.executable, "-c", DELIVER, env=environment, stdout=subprocess.PIPE)
    await receiver.until(1)
    dying.kill()
    await dying.wait()
    receiver.is_silent = False
    async with open_metering(chosen()) as ledger:
        [row] = await ledger.alerts.page(only_undelivered=True, limit=10)
        assert row.attempts == 1
        assert row.due_at > await database.now(), "the lease of the dead still runs"
        await _expire_leases(database)
        await receiver.until(2)
        await until(lambda: delivered(ledger))
    assert receiver.ids == [str(alert.id)] * 2, "twice, under one id by which the receiver knows it again"


async def _expire_leases(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE jangbu.alerts SET due_at = clock_timestamp()")


async def test_a_late_finisher_changes_nothing(database: Database) -> None:
    await alerts.raise_(database, a_test(1), told_as="test", repeat_ms=0)
    [first] = await alerts.claim(database, "default", limit=5, lease_seconds=0)
    [second] = await alerts.claim(database, "default", limit=5, lease_seconds=60)
    assert (first.attempt, second.attempt) == (1, 2)
    noted = {"delivered_to": ["webhook"], "errors": {}, "is_delivered": True, "wait_ms": 0, "give_up_seconds": 60}
    await alerts.note(database, first, **noted)  # type: ignore[arg-type]
    assert len(await alerts.page(database, "default", only_undelivered=True, limit=5)) == 1
    await alerts.note(database, second, **noted)  # type: ignore[arg-type]
    assert await alerts.page(database, "default", only_undelivered=True, limit=5) == []


async def test_a_receiver_that_is_down_gets_it_when_it_is_up(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    receiver.status = 503
    async with open_metering(chosen()) as ledger:
        ledger.alerts.raise_(Condition.RECORDING_FAILED, {"cause": "a test"})
        await receiver.until(1)
        await until(lambda: _is_noted(ledger))
        [row] = await ledger.alerts.page(only_undelivered=True, limit=10)
        assert row.errors == {"webhook": "the receiver answered 503"}
        assert row.due_at > await database.now()
        receiver.status = 204
        await _expire_leases(database)
        await until(lambda: delivered(ledger))
    assert len(set(receiver.ids)) == 1


async def _is_noted(ledger: Metering) -> bool:
    return any(row.errors for row in await ledger.alerts.page(only_undelivered=True, limit=10))


def test_the_wait_between_attempts_grows_and_is_bounded() -> None:
    waits = [wait_ms_after(attempts) for attempts in range(1, 40)]
    assert 3_750 <= waits[0] <= 5_000
    assert max(waits) <= 900_000
    assert waits[3] > waits[0]
    assert len(set(waits[20:])) > 1, "nodes do not all come back in the same moment"


async def test_an_alert_that_nobody_takes_is_given_up_and_shown(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    receiver.status = 500
    given_up: list[str] = []
    end = telemetry.subscribe(lambda event, _facts: given_up.append(event), "alerts.given_up")
    async with open_metering(chosen(alert_give_up_seconds=60)) as ledger:
        ledger.alerts.raise_(Condition.RECORDING_FAILED, {"cause": "a test"})
        await until(lambda: _is_noted(ledger))
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE jangbu.alerts SET created_at = created_at - interval '61 seconds', due_at = clock_timestamp()"
            )
        await until(lambda: _is_given_up(ledger))
        assert await alerts.sums(database, "default", untried=True) == {"waiting": 0, "given_up": 1}
    end()
    assert len(receiver.received) == 2


async def _is_given_up(ledger: Metering) -> bool:
    return any(row.given_up_at for row in await ledger.alerts.page(only_undelivered=True, limit=10))


async def test_without_the_database_alerts_are_delivered_all_the_same(
    chosen: Callable[..., Settings], receiver: Receiver, tmp_path: Path
) -> None:
    async with open_metering(chosen()) as ledger:
        await ledger.database.close()
        telemetry.emit("spool.began", message="a test")
        await receiver.until(1)
        telemetry.emit("spool.lasts", seconds=60, message="a test")
        telemetry.emit("spool.ended", seconds=90, message="a test")
        await receiver.until(3)
        await until(lambda: len(files_in(tmp_path)) == 3)
    told = [each.json for each in receiver.received]
    assert {each["phase"] for each in told} == {"began", "lasts", "ended"}
    assert len(set(receiver.ids)) == 3
    async with open_metering(chosen()) as ledger:
        await until(lambda: files_in(tmp_path) == [])
        found = await ledger.alerts.page(only_undelivered=False, limit=10)
        assert {str(row.alert.id) for row in found} == set(receiver.ids)
        assert all(row.delivered_at for row in found), "the database learns of it, and nobody is told again"
    assert len(receiver.received) == 3


async def test_what_waits_on_this_machine_is_delivered_by_one_process(
    chosen: Callable[..., Settings], receiver: Receiver, environment: dict[str, str]
) -> None:
    dying = await asyncio.create_subprocess_exec(sys.executable, "-c", RAISE_AND_DIE, env=environment)
    await dying.wait()
    many = [alert_delivery(chosen(), SystemClock()) for _ in range(5)]
    outcomes = await asyncio.gather(*(each.deliver_local() for each in many))
    assert sum(outcome.delivered for outcome in outcomes) == 1
    for each in many:
        each.close()
    assert len(receiver.ids) == 1


async def test_a_process_without_channels_keeps_no_alert_from_one_that_has_some(
    chosen: Callable[..., Settings], receiver: Receiver, environment: dict[str, str]
) -> None:
    dying = await asyncio.create_subprocess_exec(sys.executable, "-c", RAISE_AND_DIE, env=environment)
    await dying.wait()
    mute = alert_delivery(chosen(alert_webhook_url=None, alert_webhook_secret=None), SystemClock())
    speaking = alert_delivery(chosen(), SystemClock())
    assert await mute.deliver_local() == Outcome()
    assert await speaking.deliver_local() == Outcome(delivered=1)
    speaking.close()
    assert len(receiver.ids) == 1


async def test_where_nothing_can_be_written_alerts_are_delivered_from_memory(
    chosen: Callable[..., Settings], receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where the directory should be")
    warned: list[str] = []
    end = telemetry.subscribe(lambda event, _facts: warned.append(event), "alerts.not_kept")
    async with open_metering(chosen(spool_dir=tmp_path / "taken")) as ledger:
        for phase in Phase:
            assert ledger.alerts.raise_(Condition.RECORDING_FAILED, {"cause": "a test"}, phase=phase)
        await receiver.until(3)
    end()
    assert warned == ["alerts.not_kept"]


async def test_alerts_of_a_newer_release_are_left_to_it(
    chosen: Callable[..., Settings], receiver: Receiver, database: Database
) -> None:
    await alerts.raise_(database, a_test(1), told_as="test", repeat_ms=0)
    async with database.connection() as connection:
        await connection.execute("UPDATE jangbu.alerts SET condition = 'of_tomorrow'")
    await alerts.raise_(database, a_test(2), told_as="test", repeat_ms=0)
    outcome = await alert_delivery(chosen(), SystemClock(), database).deliver_shared()
    assert (outcome.delivered, outcome.undelivered) == (1, 0)
    assert len(await alerts.page(database, "default", only_undelivered=False, limit=10)) == 1
    assert (await alerts.sums(database, "default", untried=True))["waiting"] == 1
