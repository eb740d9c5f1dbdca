"""``webhooks``: what the app was told is listed, sent again and tried; nothing of the address is ever shown."""

import json
import signal
from typing import Any
from uuid import uuid4

from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import eventually, serving
from tests.cli.test_alerts import CANARY, SECRET, Inbox, inbox

UNPRICED = {
    "candidates": [],
    "modelVersion": "gemini-0-nobody-prices",
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 20, "totalTokenCount": 30},
}


def app_of(box: Inbox) -> dict[str, Any]:
    return {
        "JANGBU_WEBHOOK_URL": f"http://127.0.0.1:{box.port}/{CANARY}",
        "JANGBU_WEBHOOK_SECRET": SECRET,
        "JANGBU_ALERT_PRIVATE_TARGETS": "true",
    }


def test_an_event_is_told_by_the_service_listed_and_sent_again(jangbu: Jangbu) -> None:
    assert jangbu.ok("webhooks", "list").out == "no events\n"
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("record", "kim", "--service", "chat", "--response", "-", stdin=json.dumps(UNPRICED).encode())
    with inbox() as box, FakeGemini() as gemini, serving(jangbu, gemini=gemini, **app_of(box)) as service:
        eventually(lambda: box.told)
        eventually(lambda: jangbu.json("webhooks", "list", "--undelivered")["events"] == [])
        [row] = jangbu.json("webhooks", "list")["events"]
        assert (row["type"], row["state"], row["attempts"]) == ("call.anomaly", "delivered", 1)
        assert row["data"]["finding"] == "unpriced"
        assert "findings 1" in jangbu.ok("webhooks", "list").out
        assert jangbu.ok("webhooks", "send-again", row["id"]).out == f"event {row['id']} (call.anomaly) is sent again\n"
        eventually(lambda: len(box.told) == 2)
        assert box.told[0] == box.told[1]
        assert service.stop(signal.SIGTERM) == 0
        assert CANARY not in service.log.read_text()


def test_what_is_no_event_is_not_sent_again(jangbu: Jangbu) -> None:
    assert jangbu("webhooks", "send-again", str(uuid4())).code == 3
    assert jangbu("webhooks", "send-again", "x").code == 2


def test_a_test_says_whether_it_arrived(offline: Jangbu) -> None:
    with inbox() as box:
        assert offline.ok("webhooks", "test", **app_of(box)).out == "the test event arrived\n"
        assert [told["type"] for told in box.told] == ["webhook.test"]
        box.status = 500
        ended = offline("webhooks", "test", "--json", **app_of(box))
    assert (ended.code, ended.json["message"]) == (1, "the receiver answered 500")
    assert CANARY not in ended.out + ended.err


def test_a_webhook_that_is_not_set_right_is_refused_without_being_repeated(offline: Jangbu) -> None:
    address: dict[str, Any] = {"JANGBU_WEBHOOK_URL": f"https://host/{CANARY}"}
    assert "set JANGBU_WEBHOOK_URL" in offline("webhooks", "test").error_line
    for given in (
        address,
        {"JANGBU_WEBHOOK_SECRET": f"whsec_{CANARY}"},
        address | {"JANGBU_WEBHOOK_SECRET": "tiny"},
        address | {"JANGBU_WEBHOOK_SECRET": SECRET, "JANGBU_WEBHOOK_EVENTS": "balance.lost"},
    ):
        ended = offline("webhooks", "test", **given)
        assert ended.code == 2
        assert "webhook_" in ended.error_line
        assert CANARY not in ended.err
    assert CANARY not in offline.ok("config", "show", **address | {"JANGBU_WEBHOOK_SECRET": SECRET}).out


def test_events_are_found_by_user_and_type_and_nothing_given_up_is_sent_again(jangbu: Jangbu) -> None:
    assert jangbu.json("webhooks", "list", "--user", "kim", "--type", "balance.low")["events"] == []
    assert jangbu("webhooks", "list", "--type", "no.such").code == 2
    assert jangbu.json("webhooks", "send-all-again", "--user", "kim")["sent_again"] == 0
