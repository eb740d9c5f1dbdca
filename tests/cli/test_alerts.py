"""``alerts``: what was told, whether it arrived, and by which channels; nothing of their addresses is ever shown."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import eventually, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CANARY = "canary-of-an-address"
RAISE = """
import asyncio, sys
from jangbu.config import Settings
from jangbu.domain.alerts import Condition
from jangbu.wiring import open_metering

async def main():
    async with open_metering(Settings.load(), delivers=False) as ledger:
        if "--without-database" in sys.argv:
            await ledger.database.close()
        ledger.alerts.raise_(Condition.RECORDING_SPOOLED)

asyncio.run(main())
"""


@dataclass
class Inbox:
    """What a receiver got."""

    port: int = 0
    status: int = 200
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def webhook(self) -> dict[str, Any]:
        return {
            "JANGBU_ALERT_WEBHOOK_URL": f"http://127.0.0.1:{self.port}/{CANARY}",
            "JANGBU_ALERT_WEBHOOK_SECRET": SECRET,
            "JANGBU_ALERT_PRIVATE_TARGETS": "true",
        }


@contextmanager
def inbox() -> Iterator[Inbox]:
    found = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            del format, arguments

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def raise_one(jangbu: Jangbu, *words: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", RAISE, *words],
        cwd=jangbu.directory,
        env={**os.environ, **jangbu.environment},
        check=False,
    )
    assert ended.returncode == 0


def test_an_alert_is_listed_delivered_and_listed_as_delivered(jangbu: Jangbu) -> None:
    assert jangbu.ok("alerts", "list").out == "no alerts\n"
    raise_one(jangbu)
    [waiting] = jangbu.json("alerts", "list", "--undelivered")["alerts"]
    assert (waiting["state"], waiting["condition"], waiting["delivered_to"]) == ("waiting", "recording_spooled", [])
    with inbox() as box:
        assert jangbu.json("alerts", "deliver", **box.webhook) == {"delivered": 1, "undelivered": 0}
        assert jangbu.ok("alerts", "deliver", **box.webhook).out == "0 alerts delivered, 0 not\n"
    assert [told["id"] for told in box.told] == [waiting["id"]]
    [row] = jangbu.json("alerts", "list")["alerts"]
    assert (row["state"], row["attempts"], row["delivered_to"]) == ("delivered", 1, ["webhook"])
    assert jangbu.json("alerts", "list", "--undelivered")["alerts"] == []
    assert "kept in the local spool" in jangbu.ok("alerts", "list").out
    assert "로컬 스풀" in jangbu.ok("alerts", "list", JANGBU_ALERT_LANGUAGE="ko").out


def test_what_does_not_arrive_fails_the_command_and_says_why(jangbu: Jangbu) -> None:
    raise_one(jangbu)
    with inbox() as box:
        box.status = 500
        ended = jangbu("alerts", "deliver", **box.webhook)
    assert (ended.code, ended.out) == (1, "0 alerts delivered, 1 not\n")
    [row] = jangbu.json("alerts", "list", "--undelivered")["alerts"]
    assert row["errors"] == {"webhook": "the receiver answered 500"}
    assert CANARY not in jangbu.ok("alerts", "list").out


def test_alerts_are_delivered_while_the_database_is_away(jangbu: Jangbu) -> None:
    raise_one(jangbu, "--without-database")
    away: dict[str, Any] = {"JANGBU_DATABASE_URL": jangbu.environment["JANGBU_DATABASE_URL"]}
    with inbox() as box:
        found = sorted((jangbu.directory / "spool" / "alerts").rglob("*.json"))
        assert len(found) == 1
        ended = jangbu("alerts", "deliver", "--database-url", unreachable(jangbu, found[0]), **box.webhook, **away)
        assert (ended.code, len(box.told)) == (0, 1), ended.err
        again = jangbu("alerts", "deliver", "--database-url", unreachable(jangbu, found[0]), **box.webhook, **away)
        assert (again.code, len(box.told)) == (7, 1)


def unreachable(jangbu: Jangbu, waiting: Path) -> str:
    """Give an address where no database is, and let what waits for the real one wait for this one."""
    from jangbu.config import Settings
    from jangbu.locations import outbox_directory

    address = "postgresql://kim:secret@127.0.0.1:1/nowhere"
    directory = outbox_directory(Settings.load(database_url=address, spool_dir=jangbu.directory / "spool"))
    assert directory is not None
    if waiting.exists():
        directory.mkdir(parents=True)
        waiting.replace(directory / waiting.name)
    return address


def test_a_test_says_for_each_channel_whether_it_arrived(offline: Jangbu) -> None:
    with inbox() as box, inbox() as other:
        apprise: dict[str, Any] = {
            "JANGBU_ALERT_URLS": f"json://127.0.0.1:{other.port}/{CANARY} json://127.0.0.1:1/{CANARY}"
        }
        ended = offline("alerts", "test", "--json", **box.webhook, **apprise)
    assert (ended.code, ended.json["noted"]) == (1, False), "the database is away, and what is tested most then works"
    assert {each["channel"]: each["arrived"] for each in ended.json["channels"]} == {
        "log": True,
        "webhook": True,
        "json": True,
        "json-2": False,
    }
    assert [told["condition"] for told in box.told] == ["test"]
    assert [told["message"] for told in other.told] == ["This is a test of Jangbu's alerts: there is nothing to do."]
    assert CANARY not in ended.out + ended.err
    with inbox() as box:
        assert offline("alerts", "test", **box.webhook).code == 0


def test_a_target_in_a_private_network_has_to_be_allowed(offline: Jangbu) -> None:
    with inbox() as box:
        ended = offline("alerts", "test", "--json", **{**box.webhook, "JANGBU_ALERT_PRIVATE_TARGETS": "false"})
    assert (ended.code, box.told) == (1, [])
    [_, refused] = ended.json["channels"]
    assert refused["message"] == "the receiver's name leads to an address that is not public"
    assert "JANGBU_ALERT_PRIVATE_TARGETS" in refused["hint"]


def test_apprise_is_asked_for_where_an_address_needs_it(offline: Jangbu) -> None:
    (offline.directory / "apprise.py").write_text("raise ImportError('not installed')")
    ended = offline("alerts", "test", JANGBU_ALERT_URLS=f"slack://{CANARY}", PYTHONPATH=str(offline.directory))
    assert ended.code == 2
    assert ended.error_line == (
        "error: alert_urls needs Apprise, which is not installed; run `pip install 'jangbu[alerts]'`\n"
    )


@pytest.mark.parametrize("address", [f"nothing://{CANARY}", CANARY, f"json:/{CANARY}"])
def test_an_address_that_apprise_does_not_know_is_refused_without_being_repeated(offline: Jangbu, address: str) -> None:
    ended = offline("alerts", "test", JANGBU_ALERT_URLS=f"json://localhost {address}")
    assert ended.code == 2
    assert ended.error_line.startswith("error: address 2 of alert_urls is none that Apprise knows")
    assert CANARY not in ended.err


def test_rules_tell_the_thresholds_that_the_settings_give(offline: Jangbu) -> None:
    found = offline.json("alerts", "rules", JANGBU_ALERT_REPEAT_SECONDS="600", JANGBU_ALERT_DELAY_SECONDS="7")
    rules = {rule["condition"]: rule for rule in found["rules"]}
    assert found["channels"] == ["log"]
    assert (rules["unpriced"]["repeat_seconds"], rules["recording_failed"]["repeat_seconds"]) == (600, 60)
    assert "retried for 7 s" in rules["recording_delayed"]["raised"]
    assert rules["budget_spent"]["raised"].endswith("JANGBU_MONTHLY_BUDGET_USD, which is not set; once a month")
    assert rules["budget_spent"]["repeat_seconds"] is None
    assert "a month" in offline.ok("alerts", "rules").out
    found = offline.json("alerts", "rules", JANGBU_MONTHLY_BUDGET_USD="1250.50")["rules"]
    assert "80% of $1,250.5000; once a month" in {rule["condition"]: rule["raised"] for rule in found}["budget_near"]
    assert "channels: log" in offline.ok("alerts", "rules").out


def test_no_address_is_shown_by_the_settings(offline: Jangbu) -> None:
    given: dict[str, Any] = {
        "JANGBU_ALERT_WEBHOOK_URL": f"https://host/{CANARY}",
        "JANGBU_ALERT_WEBHOOK_SECRET": f"whsec_{CANARY}",
        "JANGBU_ALERT_URLS": f"slack://{CANARY}",
    }
    assert CANARY not in offline.ok("config", "show", **given).out
    assert CANARY not in offline.ok("config", "show", "--json", **given).out


def test_a_service_delivers_what_others_raised_and_shows_it(jangbu: Jangbu) -> None:
    raise_one(jangbu)
    with inbox() as box, FakeGemini() as gemini, serving(jangbu, gemini=gemini, **box.webhook) as service:
        eventually(lambda: box.told)
        eventually(lambda: service.metric("jangbu_alerts_sent_total") == 1)
        _, text, _ = service.get("/metrics")
        assert b'jangbu_alerts_undelivered{state="waiting"}' in text
        assert service.stop(signal.SIGTERM) == 0
        assert CANARY not in service.log.read_text()


def test_a_condition_is_muted_listed_and_unmuted(jangbu: Jangbu) -> None:
    muted = jangbu.json("alerts", "mute", "unpriced", "--for", "8h", "--reason", "a new model tomorrow")
    assert (muted["condition"], muted["reason"]) == ("unpriced", "a new model tomorrow")
    [listed] = jangbu.json("alerts", "mutes")["mutes"]
    assert listed == muted
    assert jangbu.ok("alerts", "unmute", "unpriced").out == "unpriced is muted no more\n"
    assert jangbu.ok("alerts", "unmute", "unpriced").out == "unpriced was not muted\n"


def test_recording_is_not_muted_for_long_nor_what_is_no_condition(jangbu: Jangbu) -> None:
    why = ("--reason", "too loud")
    assert jangbu("alerts", "mute", "recording_failed", "--for", "2h", *why).code == 2
    assert jangbu("alerts", "mute", "test", "--for", "1h", *why).code == 2
    assert jangbu("alerts", "mute", "unpriced", "--for", "soon", *why).code == 2
    assert jangbu("alerts", "mute", "unpriced", *why).code == 2
    assert jangbu.json("alerts", "mutes")["mutes"] == []


def test_one_channel_is_tested(jangbu: Jangbu) -> None:
    with inbox() as box:
        tested = jangbu.json("alerts", "test", "--channel", "webhook", **box.webhook)
        assert [each["channel"] for each in tested["channels"]] == ["webhook"]
        assert jangbu("alerts", "test", "--channel", "pigeon", **box.webhook).code == 3
    assert len(box.told) == 1
