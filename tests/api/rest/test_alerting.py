"""Conditions are muted for a while and channels tested, once for each key, by those who operate."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.receiver import SECRET, Receiver, receiving
from tests.api.rest.stage import Stage, stage

WHY = {"reason": "the price comes tomorrow"}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def told(database_url: str, receiver: Receiver, tmp_path: Path) -> AsyncIterator[Stage]:
    """Give the API of a process with a webhook for alerts, and one to the app."""
    async with stage(
        database_url, spool_dir=tmp_path, alert_private_targets=True,
        alert_webhook_url=receiver.url, alert_webhook_secret=SECRET,
        webhook_url=receiver.url, webhook_secret=SECRET,
    ) as served:  # fmt: skip
        yield served


async def muted(api: Stage) -> list[Any]:
    return [(each["condition"], each["ended_at"] is None) for each in (await api.get("/alerts/mutes")).ok["mutes"]]


async def test_a_condition_is_muted_for_a_while_listed_and_muted_no_more(api: Stage) -> None:
    asked = {"condition": "unpriced", "minutes": 480, **WHY}
    made = await api.post("/alerts/mutes", asked, key="api:developer", once="mute")
    assert (made.status, made.ok["muted_by"], made.ok["reason"]) == (201, "DEVELOPER", WHY["reason"])
    lasts = datetime.fromisoformat(made.ok["until"]) - datetime.fromisoformat(made.ok["muted_at"])
    assert timedelta(hours=8) - timedelta(seconds=30) < lasts <= timedelta(hours=8)
    again = await api.post("/alerts/mutes", asked, once="mute")
    assert (again.status, again.ok) == (200, made.ok | {"replayed": True})
    assert await muted(api) == [("unpriced", True)]
    ended = [(await api.post("/alerts/mutes/unpriced/end", once="end")).ok for _ in range(2)]
    assert [(each["ended"], each["replayed"]) for each in ended] == [(1, False), (0, True)]
    assert (await api.post("/alerts/mutes/unpriced/end")).ok["ended"] == 0
    assert await muted(api) == [("unpriced", False)]


async def test_a_mute_that_was_asked_for_is_given_again_when_its_time_is_over(api: Stage) -> None:
    soon = await api.ledger.database.now() + timedelta(seconds=4)
    asked = {"condition": "unpriced", "until": soon.isoformat(), **WHY}
    made = (await api.post("/alerts/mutes", asked, once="mute")).ok
    async with api.ledger.database.connection() as connection:
        await connection.execute("SELECT pg_sleep_until($1)", soon + timedelta(milliseconds=100))
    assert (await api.post("/alerts/mutes", asked, once="mute")).ok == made | {"replayed": True}
    assert (await api.post("/alerts/mutes", asked)).code == "invalid_input", "a time that is over mutes nothing"


@pytest.mark.parametrize(
    "wrong",
    [
        {"condition": "unpriced"},
        {"condition": "unpriced", "minutes": 5, "until": "2099-01-01T00:00:00Z"},
        {"condition": "unpriced", "minutes": 0},
        {"condition": "unpriced", "minutes": 43_201},
        {"condition": "unpriced", "until": "2099-01-01T00:00:00Z"},
        {"condition": "unpriced", "until": "2001-01-01T00:00:00Z"},
        {"condition": "recording_failed", "minutes": 61},
        {"condition": "test", "minutes": 5},
        {"condition": "weather", "minutes": 5},
    ],
)
async def test_what_cannot_be_muted_so_is_not(api: Stage, wrong: dict[str, Any]) -> None:
    assert (await api.post("/alerts/mutes", {**wrong, **WHY}, once="mute")).code == "invalid_input"
    assert await muted(api) == []
    allowed = {"condition": "recording_failed", "minutes": 60, **WHY}
    assert (await api.post("/alerts/mutes", allowed, once="mute")).status == 201, "what was refused leaves its key free"


async def test_the_channels_are_listed_and_a_test_of_one_arrives_once_for_its_key(
    told: Stage, receiver: Receiver
) -> None:
    shown = (await told.get("/alerts/channels", key="api:viewer")).ok["channels"]
    assert [(each["channel"], each["tested_at"], each["test_arrived"]) for each in shown] == [
        ("log", None, None),
        ("webhook", None, None),
        ("app", None, None),
    ]
    first = (await told.post("/alerts/channels/webhook/test", key="api:developer", once="try")).ok
    assert (first["test_arrived"], first["test_error"], first["tested_by"]) == (True, None, "DEVELOPER")
    again = (await told.post("/alerts/channels/webhook/test", once="try")).ok
    assert again == first | {"replayed": True}
    assert [each.json["condition"] for each in receiver.received] == ["test"]


async def test_why_a_test_did_not_arrive_is_told_without_the_address(told: Stage, receiver: Receiver) -> None:
    receiver.status = 503
    found = (await told.post("/alerts/channels/app/test")).ok
    assert (found["test_arrived"], found["test_error"]) == (False, "the receiver answered 503")
    listed = (await told.get("/alerts/channels")).ok["channels"]
    assert [each["test_error"] for each in listed if each["channel"] == "app"] == ["the receiver answered 503"]
    assert [each.json["type"] for each in receiver.received] == ["webhook.test"]


async def test_a_channel_is_tested_once_in_a_while_whoever_wants_it(told: Stage, receiver: Receiver) -> None:
    assert (await told.post("/alerts/channels/webhook/test")).ok["test_arrived"]
    refused = await told.post("/alerts/channels/webhook/test", key="api:developer", once="later")
    assert refused.code == "limit_reached"
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    async with told.ledger.database.connection() as connection:
        await connection.execute("UPDATE jangbu.channel_tests SET tested_at = tested_at - interval '1 minute'")
    later = (await told.post("/alerts/channels/webhook/test", key="api:developer", once="later")).ok
    assert (later["test_arrived"], later["replayed"]) == (True, False), "what was refused leaves its key free"
    assert len(receiver.received) == 2


async def test_a_channel_that_the_process_does_not_have_is_not_found(api: Stage) -> None:
    assert [each["channel"] for each in (await api.get("/alerts/channels")).ok["channels"]] == ["log"]
    for name in ("webhook", "app", "%F0%9F%90%A6"):
        assert (await api.post(f"/alerts/channels/{name}/test")).code == "not_found", name
