"""A meter without a connection to the database: what it records over the API is what a meter records."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from google.genai import types

from jangbu import (
    Balance,
    ConnectedMeter,
    DatabaseUnreachable,
    Expiring,
    IdempotencyConflict,
    InvalidAnswer,
    InvalidInput,
    InvalidMetadata,
    JangbuError,
    LedgerUnreachable,
    Meter,
    NotFound,
    Receipt,
    errors,
)
from jangbu.api.rest.problems import facts_of
from jangbu.domain.keys import Role
from jangbu.providers import gemini
from jangbu.sdk.problems import error_of
from jangbu.sdk.remote import sendable
from tests.api.rest.stage import Stage, answer, stage
from tests.providers.corpus import ABSENT, Recorded, recorded

SERVICE, MODEL = "text_generation", "gemini-2.5-flash"
NOBODY = UUID(int=0)


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Stage]:
    async with stage(database_url) as served:
        yield served


@pytest.fixture
async def meter(api: Stage) -> AsyncIterator[ConnectedMeter]:
    async with connected(api) as meter:
        yield meter


def connected(api: Stage, role: str = Role.OWNER, **more: Any) -> ConnectedMeter:
    return Meter.connect(api.url, api.secrets[role], **more)


async def test_it_records_what_a_meter_records(api: Stage, meter: ConnectedMeter, database_url: str) -> None:
    forms: list[Any] = [
        answer(1),
        json.dumps(answer(2)),
        json.dumps(answer(3)).encode(),
        [answer(4), answer(4)],
        types.GenerateContentResponse.model_validate(answer(5)),
        {**answer(6), "usageMetadata": {**answer(6)["usageMetadata"], "cachedContentTokenCount": 20}},
        answer(7, model="gemini-9-unheard-of"),
        {**answer(8), "responseId": None},
    ]
    async with Meter.open(database_url) as local:
        for form in forms:
            mine = await meter.arecord_token_usage("kim", SERVICE, MODEL, form, {"panels": 4})
            theirs = await local.arecord_token_usage("이서연", SERVICE, MODEL, form, {"panels": 4})
            assert replace(mine, user="", id=NOBODY) == replace(theirs, user="", id=NOBODY), form
        assert await meter.abalance("kim") == await local.abalance("이서연")
    found = await api.ledger.database.rows("report_calls", api.ledger.accounts.id_of("kim"), None, 100)
    assert len(found) == len(forms)


async def test_accounts_are_opened_granted_to_and_read(meter: ConnectedMeter) -> None:
    assert await meter.acreate("minji/민지 %2F ..")
    assert not await meter.acreate("minji/민지 %2F ..")
    until = datetime.now(UTC) + timedelta(days=30)
    posted = await meter.agrant("minji/민지 %2F ..", 1_000, key="order-1", expires_at=until, priority=1)
    assert (posted.balance, posted.replayed) == (Balance(1_000, 0, 0), False)
    again = await meter.agrant("minji/민지 %2F ..", 1_000, key="order-1", expires_at=until, priority=1)
    assert (again.id, again.replayed) == (posted.id, True)
    assert await meter.abalance("minji/민지 %2F ..") == Balance(1_000, 0, 0)
    assert await meter.aexpiring("minji/민지 %2F ..") is None
    assert await meter.acreate("..")
    soon = datetime.now(UTC) + timedelta(days=3)
    assert (await meter.agrant("..", 5, key="order-2", expires_at=soon)).balance.granted == 5
    assert await meter.aexpiring("..") == Expiring(5, soon, soon)
    with pytest.raises(NotFound):
        await meter.aexpiring("nobody")


async def test_tokens_of_views_are_made_over_the_api(api: Stage, meter: ConnectedMeter) -> None:
    opened = await api.ledger.view_tokens.account_of(await meter.aview_token("kim", 60))
    assert opened == api.ledger.accounts.id_of("kim")
    with pytest.raises(NotFound):
        await meter.aview_token("nobody-here")


async def test_every_method_waits_for_who_is_not_asynchronous(api: Stage) -> None:
    def app() -> tuple[bool, Receipt, Balance]:
        with connected(api) as meter, meter.attribute(user="lee"):
            is_new = meter.create("lee")
            meter.grant("lee", 1_000, key="order-1")
            return is_new, meter.record_token_usage("lee", SERVICE, MODEL, answer()), meter.balance("lee")

    is_new, receipt, balance = await asyncio.to_thread(app)
    assert (is_new, receipt.charged_tokens, receipt.available) == (True, 450, 550)
    assert balance == Balance(1_000, 450, 0)


async def test_one_answer_is_recorded_once_whoever_sends_it(
    api: Stage, meter: ConnectedMeter, database_url: str
) -> None:
    first = await meter.arecord_token_usage("kim", SERVICE, MODEL, answer())
    again = await meter.arecord_token_usage("kim", SERVICE, MODEL, answer())
    async with Meter.open(database_url) as local:
        third = await local.arecord_token_usage("kim", SERVICE, MODEL, answer())
    assert first.id == again.id == third.id
    assert [each.replayed for each in (first, again, third)] == [False, True, True]
    with pytest.raises(IdempotencyConflict):
        await meter.arecord_token_usage("kim", SERVICE, MODEL, answer(prompt=151))
    assert (await meter.abalance("kim")).used == 450


async def test_what_is_wrong_is_raised_as_a_meter_raises_it(api: Stage, meter: ConnectedMeter) -> None:
    with pytest.raises(NotFound, match="'nobody' has no account"):
        await meter.arecord_token_usage("nobody", SERVICE, MODEL, answer())
    with pytest.raises(InvalidAnswer):
        await meter.arecord_token_usage("kim", SERVICE, MODEL, 450)
    with pytest.raises(InvalidAnswer):
        await meter.arecord_token_usage("kim", SERVICE, MODEL, {})
    with pytest.raises(InvalidAnswer, match="says nothing of what it used"):
        await meter.arecord_token_usage("kim", SERVICE, MODEL, {"error": {"code": 503, "message": "overloaded"}})
    for metadata in ({"x": "y" * 5_000}, {"x": object()}):
        with pytest.raises(InvalidMetadata):
            await meter.arecord_token_usage("kim", SERVICE, MODEL, answer(), metadata)
    with pytest.raises(InvalidMetadata):
        await meter.arecord_token_usage("kim", "", MODEL, answer())
    await meter.agrant("kim", 5, key="order-1")
    with pytest.raises(IdempotencyConflict):
        await meter.agrant("kim", 6, key="order-1")
    for user, tokens, key in (("", 5, "k"), ("kim", -5, "k"), ("kim", True, "k"), ("kim", 5, "주문"), ("kim", 5, "")):
        with pytest.raises(InvalidInput):
            await meter.agrant(user, tokens, key=key)
    nothing: Any = None
    with pytest.raises(InvalidInput, match="no idempotency key"):
        await meter.agrant("kim", 5, key=nothing)
    with pytest.raises(InvalidInput, match="no key of Jangbu's"):
        Meter.connect(api.url, nothing)
    with pytest.raises(InvalidInput, match="no address of a server"):
        Meter.connect(nothing, "jba_key")
    with pytest.raises(InvalidInput):
        await meter.agrant("kim", 5, key="k", expires_at=datetime(2099, 1, 1))  # noqa: DTZ001
    with pytest.raises(errors.NotOffered, match="wraps no client"):
        meter.wrap(SimpleNamespace())
    async with connected(api, Role.VIEWER) as viewer:
        with pytest.raises(errors.NotPermitted):
            await viewer.arecord_token_usage("kim", SERVICE, MODEL, answer())
    async with Meter.connect(api.url, "jba_nothing") as stranger:
        with pytest.raises(errors.Unauthenticated):
            await stranger.abalance("kim")
    assert (await meter.abalance("kim")).used == 0


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, JangbuError) and "__init__" not in vars(kind)
    ],
)
def test_every_error_comes_back_as_what_it_was(kind: type[JangbuError]) -> None:
    found = error_of({**facts_of(kind("it went wrong", hint="do better")), "detail": "it went wrong"}, seconds=1)
    assert found.code == kind.code
    # What shares its code with the kind above it comes back as that one.
    assert isinstance(found, kind) or kind in (errors.BalanceLocked, errors.HoldInDoubt, errors.Overdrawn)
    assert found.message == "it went wrong"


def test_an_error_of_a_later_release_keeps_its_code() -> None:
    found = error_of({"code": "moon_is_full", "detail": "come back tomorrow"}, seconds=1)
    assert (type(found), found.code, str(found)) == (JangbuError, "moon_is_full", "come back tomorrow")
    limit = error_of({"code": "limit_reached", "detail": "enough"}, seconds=7)
    assert isinstance(limit, errors.LimitReached)
    assert limit.seconds == 7


@pytest.mark.parametrize(
    "url", ["", "ledger", "ftp://ledger", "http://", "http://a:b@ledger", "http://ledger:x", "http://x?y"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        Meter.connect(url, "jba_key")
    with pytest.raises(InvalidInput):
        Meter.connect("http://ledger", "jba key\r\nx: y")


async def test_a_server_that_is_not_there_is_told_when_the_patience_has_an_end(api: Stage) -> None:
    async with Meter.connect("http://127.0.0.1:9", "jba_key", patience_seconds=1) as nowhere:
        with pytest.raises(LedgerUnreachable, match="cannot be reached") as raised:
            await nowhere.abalance("kim")
        assert isinstance(raised.value, DatabaseUnreachable)
    async with Meter.connect(f"{api.url}/elsewhere", api.secrets[Role.OWNER], patience_seconds=1) as wrong:
        with pytest.raises(errors.NotOffered):
            await wrong.abalance("kim")
    await api.get("/accounts")
    await api.ledger.database.close()
    async with connected(api, patience_seconds=1) as away:
        with pytest.raises(DatabaseUnreachable):
            await away.abalance("kim")


async def test_what_is_lost_on_the_way_is_sent_again_and_done_once(api: Stage) -> None:
    async with lossy(api) as (url, lost), Meter.connect(url, api.secrets[Role.OWNER]) as meter:
        for number in range(5):
            lost.arm()
            nameless = {name: value for name, value in answer(number).items() if name != "responseId"}
            receipt = await meter.arecord_token_usage("kim", SERVICE, MODEL, nameless)
            assert (receipt.charged_tokens, receipt.replayed) == (450, True), "it was in before its answer was lost"
            lost.arm()
            assert (await meter.agrant("kim", 7, key=f"order-{number}")).replayed
        assert lost.answers == 10
        assert await meter.abalance("kim") == Balance(1_000_035, 5 * 450, 0)


class Lossy:
    """Passes requests on, and loses the next answer when it is armed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._armed = False
        self.answers = 0

    def arm(self) -> None:
        self._armed = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._port)
        forward = asyncio.create_task(self._forward(reader, upstream_writer))
        while data := await upstream_reader.read(65_536):
            if self._armed:
                self._armed = False
                self.answers += 1
                break
            writer.write(data)
        forward.cancel()
        for end in (writer, upstream_writer):
            end.close()

    async def _forward(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                upstream.write(data)
            upstream.close()


@asynccontextmanager
async def lossy(api: Stage) -> AsyncIterator[tuple[str, Lossy]]:
    lost = Lossy(int(api.url.rpartition(":")[2]))
    server = await asyncio.start_server(lost.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", lost
    finally:
        server.close()


def test_what_no_json_holds_is_sent_as_what_it_means() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": b"\x89PNG" * 100_000}}
    odd = {**answer(), "avgLogprobs": float("-inf"), "text": "\ud800", "more": (1, None, True, 0.5)}
    odd["candidates"] = [{"content": {"parts": [image]}}]
    sent, tier = sendable(odd)
    assert len(json.dumps(sent, allow_nan=False).encode()) < 1_000
    assert (sent["avgLogprobs"], sent["text"], sent["more"], tier) == (None, "?", [1, None, True, 0.5], None)
    assert gemini.parse_object(sent) == gemini.parse_object(odd)
    for each in (b"\x1f\x8b\xff", json.dumps(answer()).encode("utf-16")):
        with pytest.raises(InvalidAnswer, match="no UTF-8"):
            sendable(each)


@pytest.mark.parametrize(
    "media",
    [
        {
            "candidates": [
                {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0K" * 9_000}}]}}
            ]
        },
        {
            "candidates": [
                {"content": {"parts": [{"inline_data": {"mime_type": "image/png", "data": "iVBORw0K" * 9_000}}]}}
            ]
        },
        {"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": "iVBORw0K" * 9_000}] * 2},
        {"predictions": [{"bytesBase64Encoded": "iVBORw0K" * 9_000}] * 2},
        {"created": 1, "data": [{"b64_json": "iVBORw0K" * 9_000}], "usage": {"total_tokens": 5, "input_tokens": 5}},
        {"generatedImages": [{"image": {"imageBytes": "iVBORw0K" * 9_000, "mimeType": "image/png"}}]},
    ],
)
def test_images_in_base64_are_not_sent_and_count_as_they_did(media: dict[str, Any]) -> None:
    whole = {
        **media,
        **({} if media.keys() & {"predictions", "data"} else {"usageMetadata": answer()["usageMetadata"]}),
    }
    sent, _ = sendable(whole)
    assert len(json.dumps(sent)) < 1_000
    assert gemini.parse_object(sent, model="imagen-4.0-generate-001") == gemini.parse_object(
        whole, model="imagen-4.0-generate-001"
    )


def test_the_words_of_a_library_are_sent_as_google_has_them() -> None:
    details = [{"modality": "TEXT", "tokenCount": 150}, {"modality": "AUDIO", "tokenCount": 0}]
    said = answer()
    said["usageMetadata"] |= {"promptTokensDetails": details, "trafficType": "ON_DEMAND"}
    response = types.GenerateContentResponse.model_validate(said)
    sent, _ = sendable(response)
    assert sent["usageMetadata"]["promptTokensDetails"] == details
    assert gemini.parse_object(json.loads(json.dumps(sent))) == gemini.parse_object(response)


async def test_the_tier_in_the_headers_of_a_response_counts(api: Stage, meter: ConnectedMeter) -> None:
    headers = {"x-gemini-service-tier": "priority"}
    body = json.dumps(answer())
    response = SimpleNamespace(sdk_http_response=SimpleNamespace(headers=headers, body=body))
    receipt = await meter.arecord_token_usage("kim", SERVICE, MODEL, response)
    assert (await api.get(f"/calls/{receipt.id}")).ok["tier"] == "priority"


@ABSENT
@pytest.mark.parametrize("each", recorded(), ids=lambda each: each.name)
def test_every_recorded_answer_is_the_same_when_it_has_been_sent(each: Recorded) -> None:
    """A text as it came is read by the API as it is here; what a library made of it is sent as JSON."""
    try:
        text = each.body.decode()
        whole = gemini.parse(each.body)
    except (UnicodeDecodeError, InvalidAnswer):
        with pytest.raises(InvalidAnswer):
            gemini.parse_object(sendable(each.body)[0])
        return
    assert gemini.parse_object(sendable(each.body)[0]) == gemini.parse_object(sendable(text)[0]) == whole
    with suppress(ValueError):
        made = json.loads(text)
        sent = json.loads(json.dumps(sendable(made)[0], allow_nan=False))
        assert gemini.parse_object(sent) == gemini.parse_object(made)
