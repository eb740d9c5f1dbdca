"""The receiver that docs/operation.md shows takes what Jangbu sends, once, and nothing else."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from tests.house.receivers import SECRET, post, receiving, section, signed

from jangbu.alerts.webhook import body_of, webhook_of
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Condition, Phase

SHOWN = section("Alerts")
ALERT = Alert(
    uuid4(),
    "default",
    Condition.UNPRICED,
    Phase.BEGAN,
    "unpriced",
    "gateway-1",
    datetime.now(UTC),
    {"call": str(uuid4()), "models": "gemini-9-pro", "findings": 3},
)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Run the receiver that is shown; give its address, and what it writes."""
    with receiving(SHOWN, tmp_path, "JANGBU_ALERT_WEBHOOK_SECRET") as found:
        yield found


async def test_it_takes_an_alert_once_however_often_it_comes(receiver: tuple[str, Path]) -> None:
    address, said = receiver
    channel = webhook_of(
        Settings.load(alert_webhook_url=address, alert_webhook_secret=SECRET, alert_private_targets=True)
    )
    assert channel is not None
    for _ in range(3):
        await channel.send(ALERT)
    assert said.read_text().startswith("warning No price is known for 3 calls (gemini-9-pro): ")
    assert said.read_text().count("\n") == 1


def test_it_refuses_forgeries_and_replays(receiver: tuple[str, Path]) -> None:
    address, said = receiver
    body = body_of(ALERT, "en")
    assert post(address, body, signed(body, secret="a secret that somebody guessed")) == 401
    assert post(address, body + b" ", signed(body)) == 401
    assert post(address, body, signed(body, age=600)) == 401
    assert post(address, body, {**signed(body), "webhook-id": str(uuid4())}) == 401
    assert said.read_text() == ""
    assert post(address, body, signed(body)) == 204


def test_the_body_that_is_shown_has_the_fields_that_are_sent() -> None:
    import json

    (shown,) = re.findall(r"```json\n(.*?)```", SHOWN, re.DOTALL)
    sent = json.loads(body_of(ALERT, "en"))
    assert list(json.loads(shown)) == list(sent)
    assert json.loads(shown)["text"] == sent["text"]
    assert set(json.loads(shown)["facts"]) == set(sent["facts"])
