"""Jangbu's own pages: whether the service lives and can work, and its figures for Prometheus."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from jangbu import telemetry
from jangbu.api.app import open_app
from jangbu.api.requests import Observed
from jangbu.clock import new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Lost, TakeHold
from jangbu.gateway.assembly import open_gateway
from jangbu.metering.evidence import restated
from jangbu.metering.meter import Metering
from jangbu.metering.spool import spools_below
from jangbu.metering.verify import Verification
from jangbu.wiring import open_metering
from tests.alerts.receiver import SECRET, until

ADDED = re.compile(r'^jangbu_added_seconds_count\{verb="([^"]+)"\} (\S+)$', re.MULTILINE)


class Pages:
    """The application, asked without a network."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()

    async def value(self, line: str) -> float:
        """Give the value of a line of /metrics that begins so."""
        _, text = await self.get("/metrics")
        [value] = re.findall(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
        return float(value)


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Metering]:
    async with open_metering(Settings.load(database_url=database_url)) as ledger:
        yield ledger


@pytest.fixture
async def pages(ledger: Metering, database_url: str) -> AsyncIterator[Pages]:
    async with open_app(Settings.load(database_url=database_url, vertex_project="shop-project"), ledger) as app:
        yield Pages(app)


async def test_it_is_ready_while_the_database_answers(ledger: Metering, pages: Pages) -> None:
    status, body = await pages.get("/readyz")
    assert (status, json.loads(body)["status"], json.loads(body)["upstream"]) == (200, "ok", "unchecked")
    await ledger.database.close()
    status, body = await pages.get("/readyz")
    assert (status, json.loads(body)["code"]) == (503, "database_unreachable")
    assert await pages.get("/healthz") == (200, '{"status":"ok"}')


async def test_a_spool_that_cannot_be_read_is_told_and_ends_no_figures(ledger: Metering, database_url: str) -> None:
    assert ledger.spooling is not None
    await ledger.spooling.rooms.require()
    (directory,) = spools_below(ledger.spooling.directory)
    loop = directory / "quarantine"
    loop.symlink_to(loop)
    settings = Settings.load(database_url=database_url, vertex_project="shop-project")
    async with open_app(settings, ledger) as app:
        status, body = await Pages(app).get("/readyz")
        assert (status, json.loads(body)["code"]) == (503, "spool_unusable")
        assert await Pages(app).value("jangbu_database_up") == 1
        loop.unlink()
        assert (await Pages(app).get("/readyz"))[0] == 200


async def test_it_is_not_ready_where_there_is_nothing_to_call_gemini_with(ledger: Metering, database_url: str) -> None:
    async with open_app(Settings.load(database_url=database_url), ledger) as app:
        status, body = await Pages(app).get("/readyz")
        assert (status, json.loads(body)["code"]) == (503, "not_configured")
        assert "GEMINI_API_KEY" in json.loads(body)["message"]
        assert await Pages(app).get("/healthz") == (200, '{"status":"ok"}')


async def test_it_is_ready_only_where_gemini_can_be_reached(ledger: Metering, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings.load(database_url=database_url, upstream_url=url, gemini_api_key="a-key")
        async with open_gateway(settings, ledger) as gateway:
            async with open_app(settings, ledger, gateway.reaches_upstream) as app:
                status, body = await Pages(app).get("/readyz")
                assert (status, json.loads(body)["upstream"]) == (200, "reachable")
            listener.close()
            async with open_app(settings, ledger, gateway.reaches_upstream) as app:
                status, body = await Pages(app).get("/readyz")
                assert (status, json.loads(body)["code"]) == (503, "upstream_unreachable")


async def test_many_who_ask_reach_out_to_gemini_once(ledger: Metering, database_url: str) -> None:
    tried = 0

    async def reaches(seconds: int) -> bool:
        nonlocal tried
        tried += 1
        await asyncio.sleep(0.05)
        return True

    settings = Settings.load(database_url=database_url, gemini_api_key="a-key")
    async with open_app(settings, ledger, reaches) as app:
        answers = await asyncio.gather(*(Pages(app).get("/readyz") for _ in range(5)))
    assert {status for status, _ in answers} == {200}
    assert tried == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [(None, 401), ("Bearer wrong", 401), ("Basic a-token", 401), ("Bearer ключ", 401), ("bearer a-token", 200)],
)
async def test_a_token_guards_the_figures(ledger: Metering, database_url: str, sent: str | None, status: int) -> None:
    async with open_app(Settings.load(database_url=database_url, metrics_token="a-token"), ledger) as app:
        headers = {} if sent is None else {"authorization": sent.encode().decode("latin-1")}
        assert (await Pages(app).get("/metrics", **headers))[0] == status
        assert (await Pages(app).get("/healthz"))[0] == 200


async def test_holds_and_findings_are_counted_by_the_database(ledger: Metering, pages: Pages) -> None:
    await ledger.accounts.create("kim")
    await ledger.accounts.grant("kim", 10_000, key="first")
    for number in range(3):
        call = Call(new_id(ledger.clock), "kim", "text_generation", "a-model", Bounds(100, 50, True))
        await ledger.execute(TakeHold(call, base=100, least=150, most=150, take_all=False))
        if number == 0:
            await ledger.holds.mark_unknown(ledger.accounts.id_of("kim"), call.id, str(Lost("it broke off").reason))
    assert await pages.value('jangbu_holds{state="open"}') == 2
    assert await pages.value('jangbu_held_tokens{state="open"}') == 300
    assert await pages.value('jangbu_holds{state="unknown"}') == 1
    assert await pages.value('jangbu_open_findings{kind="unpriced"}') == 0
    assert await pages.value('jangbu_alerts_undelivered{state="given_up"}') == 0
    assert await pages.value("jangbu_database_up") == 1


async def test_an_alert_is_undelivered_only_where_a_channel_should_have_it(
    ledger: Metering, pages: Pages, database_url: str
) -> None:
    telemetry.emit("spool.began", message="a test")
    await until(lambda: ledger.alerts.page(only_undelivered=False, limit=1))
    assert await pages.value('jangbu_alerts_undelivered{state="waiting"}') == 0
    nowhere = {"alert_webhook_url": "https://127.0.0.1:9/", "alert_webhook_secret": SECRET}
    settings = Settings.load(database_url=database_url, **nowhere)
    async with open_metering(settings) as telling, open_app(settings, telling) as app:
        assert await Pages(app).value('jangbu_alerts_undelivered{state="waiting"}') == 1


async def test_a_database_that_is_away_leaves_its_own_figures_out(ledger: Metering, pages: Pages) -> None:
    await ledger.database.close()
    status, text = await pages.get("/metrics")
    assert status == 200
    assert "jangbu_database_up 0.0" in text
    assert "jangbu_holds" not in text
    assert "jangbu_unrecorded_total 0.0" in text


async def test_the_last_verification_is_shown_with_its_age(ledger: Metering, pages: Pages) -> None:
    assert "jangbu_verify" not in (await pages.get("/metrics"))[1]
    assert json.loads((await pages.get("/readyz"))[1])["verified"] is None
    await ledger.accounts.create("kim")
    await ledger.accounts.grant("kim", 100, key="first")
    async with ledger.database.connection() as connection:
        await connection.execute("UPDATE jangbu.balances SET held = 7")
    report = await Verification(ledger.database, "default").run(recompute=ledger.pricing.reprice, restate=restated)
    async with ledger.database.connection() as connection:
        await connection.execute("UPDATE jangbu.verifications SET ended_at = ended_at - interval '5 minutes'")
    status, body = await pages.get("/readyz")
    shown = json.loads(body)["verified"]
    assert (status, shown["mismatches"], shown["is_full"]) == (200, len(report.mismatches), True)
    assert shown["age_seconds"] >= 300


async def test_a_scrape_shows_the_last_verification(ledger: Metering, database_url: str) -> None:
    await ledger.accounts.create("kim")
    async with ledger.database.connection() as connection:
        await connection.execute("UPDATE jangbu.balances SET held = 7")
    await Verification(ledger.database, "default").run(recompute=ledger.pricing.reprice, restate=restated)
    async with open_app(Settings.load(database_url=database_url), ledger) as app:
        assert await Pages(app).value("jangbu_verify_mismatches") == 1
        assert await Pages(app).value("jangbu_verify_records") == 0
        assert 0 <= await Pages(app).value("jangbu_verify_age_seconds") < 300


async def test_events_move_their_figures(pages: Pages) -> None:
    for event, facts, line in (
        ("gateway.refused", {"code": "insufficient_balance"}, 'jangbu_refusals_total{code="insufficient_balance"}'),
        ("meter.recorded", {"tokens": 450, "is_priced": False}, "jangbu_tokens_charged_total"),
        ("recorder.failed", {}, "jangbu_unrecorded_total"),
        ("alerts.raised", {"condition": "overrun"}, 'jangbu_alerts_raised_total{condition="overrun"}'),
        ("alerts.delivered", {"channel": "slack"}, 'jangbu_alerts_sent_total{arrived="yes",channel="slack"}'),
        ("alerts.refused", {"channel": "webhook"}, 'jangbu_alerts_sent_total{arrived="no",channel="webhook"}'),
        ("webhooks.delivered", {}, 'jangbu_webhook_events_sent_total{arrived="yes"}'),
        ("webhooks.refused", {}, 'jangbu_webhook_events_sent_total{arrived="no"}'),
        ("upstream.answered", {"status": 429}, 'jangbu_upstream_answers_total{status="4xx"}'),
        ("upstream.failed", {"reason": "unreachable"}, 'jangbu_upstream_failures_total{reason="unreachable"}'),
        ("gateway.drains", {"under_way": 3}, "jangbu_drains"),
        ("gateway.drain_refused", {}, "jangbu_drains_refused_total"),
    ):
        telemetry.emit(event, **facts)
        assert await pages.value(line) > 0, line
    assert await pages.value('jangbu_records_total{priced="no"}') == 1


async def test_what_is_waited_for_others_is_no_latency_of_ours(pages: Pages) -> None:
    heard: list[dict[str, Any]] = []
    end = telemetry.subscribe(lambda event, facts: heard.append({"event": event, **facts}))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        telemetry.emit("request.routed", verb="generateContent")
        telemetry.emit("upstream.waited", seconds=1_000.0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}", "more_body": False})

    observed = Observed(app)
    assert (await Pages(observed).get("/v1beta/models/a:generateContent"))[0] == 200
    observed.close()
    end()
    [ended] = [event for event in heard if event["event"] == "request.ended"]
    assert ended["seconds"] > 0
    assert ended["added_seconds"] == 0
    _, text = await pages.get("/metrics")
    assert ADDED.findall(text) == [("generateContent", "1.0")]
