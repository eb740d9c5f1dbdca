"""Opening, using and closing a meter, from synchronous and asynchronous code."""

import copy
import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google import genai

from jangbu import (
    Balance,
    DatabaseUnreachable,
    Expiring,
    IdempotencyConflict,
    InvalidInput,
    JangbuError,
    Meter,
    NotFound,
    Settings,
)
from jangbu.testing import FakeGemini

USER = "minji"
ANSWER = {"usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}}
NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"


@pytest.fixture
def meter(database_url: str) -> Any:
    with Meter.open(database_url) as meter:
        yield meter


def new_client(gemini: FakeGemini) -> Any:
    return genai.Client(api_key="a-key", http_options={"base_url": gemini.url})


def close(client: Any) -> None:
    client._api_client._httpx_client.close()


def test_accounts_are_opened_granted_to_and_read(meter: Meter) -> None:
    assert meter.create(USER)
    assert not meter.create(USER)
    posted = meter.grant(USER, 1000, key="order-1", expires_at=datetime.now(UTC) + timedelta(days=30), priority=1)
    again = meter.grant(USER, 1000, key="order-2")
    assert (posted.balance, again.replayed) == (Balance(1000, 0, 0), False)
    assert meter.balance(USER) == Balance(2000, 0, 0)
    assert meter.balance(USER).available == 2000
    assert meter.expiring(USER) is None


def test_what_expires_within_a_week_is_told_as_long_as_it_is_not_used(meter: Meter) -> None:
    meter.create(USER)
    first, last = (datetime.now(UTC) + timedelta(days=days) for days in (2, 6))
    meter.grant(USER, 700, key="gift", expires_at=last)
    meter.grant(USER, 300, key="another", expires_at=first)
    assert meter.expiring(USER) == Expiring(1000, first, last)
    meter.record_token_usage(USER, "chat", "gemini-2.5-flash", ANSWER)
    assert meter.expiring(USER) == Expiring(995, first, last)


def test_a_grant_is_made_once_for_its_key(meter: Meter) -> None:
    meter.create(USER)
    first = meter.grant(USER, 1000, key="order-1")
    again = meter.grant(USER, 1000, key="order-1")
    assert (again.id, again.replayed) == (first.id, True)
    with pytest.raises(IdempotencyConflict):
        meter.grant(USER, 2000, key="order-1")
    assert meter.balance(USER).granted == 1000


def test_an_expiry_is_the_same_in_whichever_zone_it_is_written(meter: Meter) -> None:
    meter.create(USER)
    seoul, at = timezone(timedelta(hours=9)), datetime(2099, 1, 1, 12, tzinfo=UTC)
    first = meter.grant(USER, 1000, key="order-1", expires_at=at.astimezone(seoul))
    again = meter.grant(USER, 1000, key="order-1", expires_at=at)
    assert (again.id, again.replayed) == (first.id, True)
    with pytest.raises(IdempotencyConflict):
        meter.grant(USER, 1000, key="order-1", expires_at=at.replace(tzinfo=seoul))
    with pytest.raises(InvalidInput, match="has passed already"):
        meter.grant(USER, 1000, key="order-2", expires_at=datetime(1, 1, 1, tzinfo=seoul))


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": 7},
        {"user": None},
        {"key": 7},
        {"key": None},
        {"priority": 2**31},
        {"priority": "1"},
        {"source": None},
        {"expires_at": "2099-12-31T00:00:00Z"},
        {"expires_at": datetime(2099, 12, 31)},  # noqa: DTZ001
        {"expires_at": datetime.max.replace(tzinfo=UTC)},
    ],
)
def test_what_no_grant_holds_is_refused_and_said(meter: Meter, wrong: dict[str, Any]) -> None:
    meter.create(USER)
    given: dict[str, Any] = {"user": USER, "tokens": 1000, "key": "order-1", **wrong}
    with pytest.raises(InvalidInput):
        meter.grant(**given)
    assert meter.balance(USER).granted == 0


@pytest.mark.parametrize("user", [7, None, b"minji"])
def test_a_user_that_is_no_text_is_refused_and_said(meter: Meter, user: Any) -> None:
    record = partial(meter.record_token_usage, service_type="chat", model_name="m", response=ANSWER)
    for ask in (meter.create, meter.balance, meter.expiring, record):
        with pytest.raises(InvalidInput, match=f"the user is {type(user).__name__}, not text"):
            ask(user)


def test_a_meter_stays_where_it_was_opened(meter: Meter) -> None:
    for take in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(JangbuError, match="open a meter in each process"):
            take(meter)


def test_a_user_without_an_account_is_not_found(meter: Meter) -> None:
    with pytest.raises(NotFound):
        meter.balance("nobody")
    with pytest.raises(NotFound):
        meter.grant("nobody", 1, key="order-1")


def test_a_token_of_a_users_view_is_made_for_whom_there_is(meter: Meter) -> None:
    meter.create(USER)
    assert meter.view_token(USER, 60).count(".") == 2
    with pytest.raises(NotFound):
        meter.view_token("nobody")


async def test_each_method_may_be_awaited(database_url: str) -> None:
    async with Meter.open(database_url) as meter:
        assert await meter.acreate(USER)
        await meter.agrant(USER, 1000, key="order-1")
        assert await meter.abalance(USER) == Balance(1000, 0, 0)
        assert (await meter.aview_token(USER)).count(".") == 2


async def test_where_a_loop_runs_the_first_use_waits_for_the_ledger(database_url: str) -> None:
    meter = Meter.open(database_url)
    assert await meter.acreate(USER)
    await meter.aclose()


def test_a_ledger_that_cannot_be_reached_says_so_when_it_is_opened() -> None:
    with pytest.raises(DatabaseUnreachable):
        Meter.open(NOWHERE)


@pytest.mark.parametrize("address", ["mysql://root@ledger/book", "ledger:5432", "postgresql://ledger:port/book"])
def test_what_is_no_address_of_a_ledger_is_said_to_be_none(address: str) -> None:
    with pytest.raises(InvalidInput, match="JANGBU_DATABASE_URL"):
        Meter.open(address)


def test_a_password_that_is_taken_for_a_host_is_told_how_to_be_written() -> None:
    with pytest.raises(DatabaseUnreachable, match="%40, %2F and %23"):
        Meter.open("postgresql://jangbu:p@ss/word#1@127.0.0.1/book")


async def test_a_ledger_that_cannot_be_reached_says_so_asynchronously() -> None:
    with pytest.raises(DatabaseUnreachable):
        async with Meter.open(NOWHERE):
            pass


def test_settings_may_be_given(database_url: str) -> None:
    with Meter.open(settings=Settings.load(database_url=database_url, project="other")) as meter:
        meter.create(USER)
    with Meter.open(database_url) as meter, pytest.raises(NotFound):
        meter.balance(USER)


def test_what_is_no_client_cannot_be_wrapped(meter: Meter) -> None:
    class Ancient:
        class _api_client:  # noqa: N801
            pass

        aio = None

    with pytest.raises(InvalidInput, match="this is str, and no google-genai client"):
        meter.wrap("a client")
    with pytest.raises(InvalidInput, match="too old"):
        meter.wrap(Ancient())


def test_a_call_after_the_meter_was_closed_is_not_made(database_url: str, fake_gemini: FakeGemini) -> None:
    with Meter.open(database_url) as meter:
        meter.create(USER)
        meter.grant(USER, 100_000, key="order-1")
        client = meter.wrap(new_client(fake_gemini))
    with pytest.raises(JangbuError, match="closed"), meter.attribute(user=USER):
        client.models.generate_content(model="gemini-2.5-flash", contents="hello")
    assert fake_gemini.requests() == []
    with Meter.open(database_url) as another, another.attribute(user=USER):
        another.wrap(client).models.generate_content(model="gemini-2.5-flash", contents="hello")
        assert another.balance(USER).used > 0
    assert len(fake_gemini.answers()) == 1
    close(client)


def test_another_client_in_the_same_process_stays_as_it_was(meter: Meter, fake_gemini: FakeGemini) -> None:
    wrapped, bare = meter.wrap(new_client(fake_gemini)), new_client(fake_gemini)
    bare.models.generate_content(model="gemini-2.5-flash", contents="hello")
    assert len(fake_gemini.answers()) == 1
    close(wrapped)
    close(bare)


def test_an_http_client_of_the_app_is_left_as_it_was(meter: Meter, fake_gemini: FakeGemini) -> None:
    import httpx2

    with httpx2.Client() as shared:
        options: Any = {"base_url": fake_gemini.url, "httpx_client": shared}
        client: Any = meter.wrap(genai.Client(api_key="a-key", http_options=options))
        assert "send" not in vars(shared)
        meter.create(USER)
        meter.grant(USER, 1_000_000, key="order-1")
        with meter.attribute(user=USER):
            client.interactions.create(model="gemini-2.5-flash", input="hello")
        assert meter.balance(USER).used > 0


@pytest.mark.timeout(120)
def test_the_embedded_ledger_keeps_what_a_process_left_unclosed(tmp_path: Path) -> None:
    answer = {"candidates": [], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}, "responseId": "one"}
    settings = f"Settings.load(data_dir={str(tmp_path / 'ledger')!r})"
    writing = f"""
from jangbu import Meter, Settings
meter = Meter.open(settings={settings})
meter.create("minji")
meter.grant("minji", 1000, key="order-1")
print(meter.record_token_usage("minji", "script", "gemini-2.5-flash", {json.dumps(answer)}).charged_tokens)
"""
    reading = f"""
from jangbu import Meter, Settings
with Meter.open(settings={settings}) as meter:
    print(meter.balance("minji").used)
"""
    for program in (writing, reading):
        ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
        assert (ended.stdout.strip(), ended.stderr) == ("3", "")
