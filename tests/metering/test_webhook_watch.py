"""What a process notes of its users: the database is asked only where there may be something to tell."""

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock
from jangbu.domain.webhooks import EventKind
from jangbu.metering import webhook_watch
from jangbu.metering.webhook_watch import Watch
from jangbu.storage.webhooks import Seen

KIM, LEE = UUID(int=1), UUID(int=2)


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch(SystemClock(), frozenset(EventKind))
    yield watch
    watch.stop()


def test_a_balance_is_looked_at_once_and_then_only_when_it_falls_to_where_there_is_something_to_tell(
    watch: Watch,
) -> None:
    watch.recorded(KIM, 10_000)
    watch.recorded(KIM, 9_000)
    assert watch.waiting(10) == [KIM]
    watch.learn([Seen(KIM, 999, is_used_up=False), Seen(LEE, None, is_used_up=False)])
    for available in (8_000, 5_000, 1_000):
        watch.recorded(KIM, available)
        watch.recorded(LEE, -available)
    assert watch.waiting(10) == []
    watch.recorded(KIM, 999)
    assert watch.waiting(10) == [KIM]


def test_it_is_looked_at_again_after_a_grant_and_after_its_grant_was_used_up(watch: Watch) -> None:
    changes: tuple[Callable[[], None], ...] = (
        lambda: telemetry.emit("accounts.posted", account=KIM),
        lambda: watch.learn([Seen(KIM, 999, is_used_up=True)]),
        watch.forget,
    )
    for change in changes:
        watch.learn([Seen(KIM, None, is_used_up=False)])
        watch.recorded(KIM, 5_000)
        assert watch.waiting(10) == []
        change()
        watch.recorded(KIM, 5_000)
        assert watch.waiting(10) == [KIM]


def test_refused_calls_are_counted_and_kept_where_they_could_not_be_written(watch: Watch) -> None:
    for account in (KIM, KIM, LEE):
        watch.refused(account)
    taken = watch.refusals()
    assert {each.account: each.calls for each in taken} == {KIM: 2, LEE: 1}
    assert watch.refusals() == []
    watch.refused(KIM)
    watch.put_back(taken)
    again = {each.account: each for each in watch.refusals()}
    assert {account: each.calls for account, each in again.items()} == {KIM: 3, LEE: 1}
    assert again[KIM].since == next(each.since for each in taken if each.account == KIM)


def test_records_that_failed_or_were_put_aside_are_kept_until_they_are_told(watch: Watch) -> None:
    for event in ("recorder.failed", "spool.record_lost"):
        telemetry.emit(event, usage_id=str(uuid4()), account_id=str(KIM), total=5, evidence="a secret")
    first, second = watch.failures()
    assert (first.account, first.tokens) == (KIM, 5)
    watch.told([first])
    assert watch.failures() == (second,)


def test_a_record_that_is_heard_of_again_is_one_event(watch: Watch) -> None:
    lost = {"usage_id": str(uuid4()), "account_id": str(KIM), "total": 5}
    telemetry.emit("recorder.failed", **lost)
    (first,) = watch.failures()
    watch.told([first])
    telemetry.emit("spool.record_lost", **lost)
    assert watch.failures() == (first,)


def test_memory_is_bounded(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_KNOWN_MAX", "_WAITING_MAX", "_FAILURES_MAX"):
        monkeypatch.setattr(webhook_watch, name, 3)
    for number in range(10):
        watch.recorded(UUID(int=number), 5)
        watch.refused(UUID(int=number))
        telemetry.emit("recorder.failed", usage_id=str(uuid4()), account_id=str(KIM), total=5)
    assert (len(watch.waiting(100)), len(watch.refusals()), len(watch.failures())) == (3, 3, 3)
    watch.learn([Seen(UUID(int=number), None, is_used_up=False) for number in range(3)])
    watch.learn([Seen(KIM, None, is_used_up=False)])
    watch.recorded(UUID(int=2), 5)
    assert watch.waiting(100) == [UUID(int=2)], "what was known is forgotten, and looked at again"


def test_what_nobody_wants_to_be_told_is_not_noted() -> None:
    watch = Watch(SystemClock(), frozenset())
    watch.recorded(KIM, 5)
    watch.refused(KIM)
    telemetry.emit("recorder.failed", usage_id=str(uuid4()), account_id=str(KIM), total=5)
    watch.stop()
    assert (watch.waiting(9), watch.refusals(), watch.failures()) == ([], [], ())
