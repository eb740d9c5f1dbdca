"""The receiver that docs/operation.md shows for an app takes the app's events, once, and nothing else."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from tests.house.receivers import SECRET, post, receiving, section, signed

from jangbu.alerts.app_webhook import AppWebhook, app_webhook_of, event_body
from jangbu.config import Settings
from jangbu.domain.webhooks import Event, EventKind

SHOWN = section("Webhooks to your app")


def event(kind: EventKind, **facts: int) -> Event:
    return Event(uuid4(), "default", kind, "kim", datetime.now(UTC), facts)


LOW = event(
    EventKind.BALANCE_LOW, balance=100_000, used_tokens=91_000, held_tokens=500, available=8_500, threshold=10_000
)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Run the receiver that is shown; give its address, and what it writes."""
    with receiving(SHOWN, tmp_path, "JANGBU_WEBHOOK_SECRET") as found:
        yield found


def webhook(address: str) -> AppWebhook:
    made = app_webhook_of(Settings.load(webhook_url=address, webhook_secret=SECRET, alert_private_targets=True))
    assert made is not None
    return made


async def test_it_acts_on_an_event_once_however_often_it_comes(receiver: tuple[str, Path]) -> None:
    address, said = receiver
    refused, gone = event(EventKind.CALL_REFUSED, calls=3), event(EventKind.RECORD_FAILED, tokens=3)
    for each in (LOW, LOW, refused, LOW, gone):
        await webhook(address).send(each)
    assert said.read_text().splitlines() == [
        "offer kim more: 8500 left",
        "kim was refused 3 times",
        "record.failed of kim",
    ]


def test_it_refuses_forgeries_and_replays(receiver: tuple[str, Path]) -> None:
    address, said = receiver
    body = event_body(LOW)
    assert post(address, body, signed(body, secret="a secret that somebody guessed")) == 401
    assert post(address, body + b" ", signed(body)) == 401
    assert post(address, body, signed(body, age=600)) == 401
    assert post(address, body, {**signed(body), "webhook-id": str(uuid4())}) == 401
    assert said.read_text() == ""
    assert post(address, body, signed(body)) == 204


def test_the_body_that_is_shown_has_the_fields_that_are_sent() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", SHOWN, re.DOTALL)
    sent = json.loads(event_body(LOW))
    assert list(json.loads(shown)) == list(sent)
    assert json.loads(shown)["data"] == sent["data"]


def test_every_event_is_explained() -> None:
    explained = set(re.findall(r"^\| [^`].* \| `([a-z_]+\.[a-z_]+)` \| ", SHOWN, re.MULTILINE))
    assert explained == {kind.value for kind in EventKind} - {EventKind.TEST}
