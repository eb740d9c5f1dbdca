"""The receiver that docs/operation.md shows takes what Jangbu sends, once, and nothing else."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from tests.cli.service import eventually, free_port

from jangbu.alerts.signature import secret_bytes, signature_of
from jangbu.alerts.webhook import body_of, webhook_of
from jangbu.config import Settings
from jangbu.domain.alerts import Alert, Condition, Phase

WHOLE = (Path(__file__).parents[2] / "docs/operation.md").read_text()
SHOWN = WHOLE.partition("\n## Alerts\n")[2].partition("\n## ")[0]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
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
    (code,) = re.findall(r"```python\n(.*?)```", SHOWN, re.DOTALL)
    (tmp_path / "receiver.py").write_text(code)
    port, said = free_port(), tmp_path / "said"
    with said.open("w") as out, (tmp_path / "requests").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, str(tmp_path / "receiver.py")],
            env={**os.environ, "JANGBU_ALERT_WEBHOOK_SECRET": SECRET, "PORT": str(port)},
            stdout=out,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}/"
    eventually(lambda: post(address, b"", {}) == 401)
    yield address, said
    running.kill()
    running.wait()


def post(address: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Post a body; give the status, or 0 where nobody listens yet."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data=body, headers=dict(headers))) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def signed(body: bytes, *, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    timestamp = int(time.time()) - age
    return {
        "webhook-id": str(ALERT.id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_of(secret_bytes(secret), id_=str(ALERT.id), timestamp=timestamp, body=body),
    }


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
