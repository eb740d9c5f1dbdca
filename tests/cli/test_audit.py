"""Every command that changes something has its line in the audit, in the name of whoever the machine knows there."""

import getpass
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import typer
from asyncpg import Connection, connect

from jangbu.cli.app import app
from jangbu.clock import SystemClock, new_id
from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, MarkUnknown, TakeHold
from jangbu.domain.ledger import erased_name
from jangbu.storage.database import Database
from jangbu.wiring import open_metering
from tests.alerts.receiver import SECRET
from tests.cli.conftest import Jangbu, Kept
from tests.cli.test_retention import OLD
from tests.metering.traffic import KIM, open_shop

DREAM = "gemini-99-dream"
WITHOUT_A_LINE = {
    "demo": "it makes a ledger of its own to be looked at, by the same ways as any other",
    "record": "a record of usage is the ledger itself",
    "spool drain": "a record of usage is the ledger itself",
    "accounts view-token": "it changes nothing: a token is kept nowhere",
    "verify": "it changes no figure; how the last one ended is shown by itself",
    "alerts deliver": "it does what `serve` does all the time; whether an alert arrived is kept with it",
    "serve": "what is done through it is written down there",
    "db backup": "it copies",
    "db archive": "it copies",
    **dict.fromkeys(
        (
            *("balance", "explain", "cost", "doctor", "accounts show", "accounts list", "usage parse", "usage totals"),
            *("usage daily", "usage calls", "usage export", "ledger show", "ledger export", "ledger check"),
            "holds list",
            *("spool status", "keys list", "members list", "alerts list", "alerts rules", "alerts mutes"),
            "alerts findings",
            *(
                "webhooks list",
                "prices list",
                "prices versions",
                "prices diff",
                "db url",
                "db sql",
                "db backups",
                "config show",
            ),
        ),
        "it reads",
    ),
}
"""The commands that are no changes, and why. Whatever else there is has its line."""

CHANGES: dict[str, tuple[str, str, str | None]] = {
    "accounts create": ("lee", "account.create", "account:lee"),
    "accounts block": ("lee", "account.block", "account:lee"),
    "accounts erase": ("gone --yes", "account.erase", "account:{gone}"),
    "accounts revoke-view-tokens": ("", "view_tokens.revoke", "view_tokens"),
    "grant": ("kim 1000 --key order-1", "account.grant", "account:kim"),
    "ledger adjust": ("kim -5 --reason r --key fix-1", "account.adjust", "account:kim"),
    "ledger refund": ("kim {call} 1 --reason r --key back-1", "account.refund", "account:kim"),
    "ledger void": ("kim {call} --reason r", "account.void", "account:kim"),
    "holds resolve": ("{hold} --release --reason r", "hold.release", "hold:{hold}"),
    "keys create": ("--app reports", "keys.create", None),
    "keys revoke": ("reports", "keys.revoke", None),
    "members add": ("park --role owner", "members.invite", "member:park"),
    "members reset": ("park", "members.reset", "member:park"),
    "members role": ("park viewer", "members.role", "member:park"),
    "members block": ("park", "members.block", "member:park"),
    "members unblock": ("park", "members.unblock", "member:park"),
    "prices import": ("book.json --yes", "prices.change", "prices"),
    "prices set": (f"{DREAM} output 0.4 --source contract", "prices.change", "prices"),
    "prices markup": ("12.5", "prices.change", "prices"),
    "prices backfill": ("", "prices.backfill", "prices"),
    "prices unset": (f"{DREAM} output", "prices.change", "prices"),
    "alerts acknowledge": ("kim {odd} anomaly", "finding.acknowledge", "call:{odd}"),
    "alerts resolve": ("kim {odd} anomaly --reason r", "finding.resolve", "call:{odd}"),
    "alerts mute": ("unpriced --for 1h --reason r", "alerts.mute", "condition:unpriced"),
    "alerts unmute": ("unpriced", "alerts.unmute", "condition:unpriced"),
    "alerts test": ("--channel log", "channel.test", "channel:log"),
    "webhooks send-all-again": ("", "webhook.send_again", "events"),
    "webhooks send-again": ("{event}", "webhook.send_again", "event:{event}"),
    "db retain": ("--months 2 --yes", "retention.drop", f"partition:usage_{OLD:%Y%m}"),
    "db policies": ("--role pg_monitor --apply", "policies.apply", "role:pg_monitor"),
}
"""What a command is given, and the action and the target of its line. They are run in this order."""
ELSEWHERE = {"db upgrade", "db restore", "webhooks test"}
"""The commands that are tried below, with what they need."""


def commands(found: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Give the names of all commands."""
    if hasattr(found, "commands"):
        for name, each in found.commands.items():
            yield from commands(each, (*path, name))
    else:
        yield " ".join(path)


def test_a_new_command_that_changes_something_is_in_the_audit_or_says_why_not() -> None:
    known = [*CHANGES, *ELSEWHERE, *WITHOUT_A_LINE]
    assert sorted(known) == sorted(commands(typer.main.get_command(app)))


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator["Connection[Any]"]:
    opened = await connect(database_url)
    yield opened
    await opened.close()


async def lines(connection: "Connection[Any]", after: datetime) -> list[tuple[str, str, str, str]]:
    """Give action, target and actor of what was written down since a moment, oldest first."""
    rows = await connection.fetch(
        "SELECT action, target, actor_kind::text, actor_name FROM jangbu.audit WHERE at > $1 ORDER BY at", after
    )
    return [tuple(row) for row in rows]


def not_adding_up(response: str) -> bytes:
    """Give an answer like this one whose counts do not add up."""
    found = json.loads(Path(response).read_text())
    found["usageMetadata"]["totalTokenCount"] += 5
    return json.dumps({**found, "responseId": "odd"}).encode()


async def things(
    database_url: str, database: Database, connection: "Connection[Any]", jangbu: Jangbu, response: str
) -> dict[str, str]:
    """Make what is written about: calls of now, of long ago and with a finding, a hold of unknown outcome, events."""
    async with open_shop(database, "default") as shop:
        shop.clock.set(OLD)
        await shop.record([shop.row(KIM)])
    call = jangbu.json("record", KIM, "--service", "chat", "--response", response)["id"]
    odd = jangbu.json("record", KIM, "--service", "chat", "--response", "-", stdin=not_adding_up(response))["id"]
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        await metering.accounts.grant(KIM, 1_000_000, key="first")
        held = Call(new_id(SystemClock()), KIM, "chat", "gemini-2.5-flash", Bounds(10, 40, output_chosen=True))
        await metering.execute(TakeHold(held, 10, 50, 50))
        await metering.execute(MarkUnknown(held, "the connection broke"))
        await metering.accounts.create("gone")
        gone = erased_name(metering.accounts.id_of("gone"))
    event = uuid4()
    for each, ended in ((event, "delivered_at"), (uuid4(), "given_up_at")):
        await connection.execute(
            f"INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts, {ended})"
            " VALUES ($1, 'default', 'call.refused', 'kim', '{\"calls\": 3}', clock_timestamp())",
            each,
        )
    return {"call": call, "odd": odd, "hold": str(held.id), "event": str(event), "gone": gone}


async def test_every_change_has_one_line(
    jangbu: Jangbu,
    database_url: str,
    database: Database,
    connection: "Connection[Any]",
    answer: Callable[..., str],
    tmp_path: Path,
) -> None:
    book = {"entries": [{"models": [DREAM], "usd": {"input": "0.1"}, "source": "s"}]}
    (tmp_path / "book.json").write_text(json.dumps(book))
    named = await things(database_url, database, connection, jangbu, answer())
    unpriced = answer(10, 20, model=DREAM, number=2)
    assert jangbu.json("record", KIM, "--service", "chat", "--response", unpriced)["cost_nano"] is None
    for name, (given, action, target) in CHANGES.items():
        before = await connection.fetchval("SELECT clock_timestamp()")
        jangbu.ok(*name.split(), *given.format(**named).split())
        [(did, to, kind, who)] = await lines(connection, before)
        assert (did, kind, who) == (action, "command", getpass.getuser()), name
        assert target is None or to == target.format(**named), name


async def test_what_was_done_before_has_no_second_line(jangbu: Jangbu, connection: "Connection[Any]") -> None:
    again = (
        ("accounts", "create", "kim"),
        ("grant", "kim", "1000", "--key", "order-1"),
        ("accounts", "block", "kim"),
        ("prices", "markup", "12.5"),
        ("keys", "create", "--app", "reports"),
        ("keys", "revoke", "reports"),
    )
    for words in again:
        jangbu.ok(*words)
    before = await connection.fetchval("SELECT clock_timestamp()")
    for words in again:
        if words[:2] != ("keys", "create"):
            jangbu.ok(*words)
    jangbu.ok("prices", "backfill")
    jangbu.ok("db", "upgrade")
    assert await lines(connection, before) == []


async def test_a_charge_of_a_hold_is_written_down_beside_its_record(
    jangbu: Jangbu, database_url: str, connection: "Connection[Any]", answer: Callable[..., str]
) -> None:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", "1000", "--key", "order-1")
    async with open_metering(Settings.load(database_url=database_url)) as metering:
        held = Call(new_id(SystemClock()), "kim", "chat", "gemini-2.5-flash", Bounds(100, 400, output_chosen=True))
        await metering.execute(TakeHold(held, 100, 500, 500))
        await metering.execute(MarkUnknown(held, "the connection broke"))
    before = await connection.fetchval("SELECT clock_timestamp()")
    jangbu.ok("holds", "resolve", str(held.id), "--charge-from", answer(90, 200))
    assert await lines(connection, before) == [
        ("hold.charge", f"hold:{held.id}", "command", getpass.getuser()),
    ]


async def test_a_test_is_written_down_for_each_channel_whether_it_arrives_or_not(
    jangbu: Jangbu, connection: "Connection[Any]"
) -> None:
    nobody: dict[str, Any] = {"JANGBU_ALERT_PRIVATE_TARGETS": "true"}
    for name in ("WEBHOOK", "ALERT_WEBHOOK"):
        nobody |= {f"JANGBU_{name}_URL": "http://127.0.0.1:1/", f"JANGBU_{name}_SECRET": SECRET}
    before = await connection.fetchval("SELECT clock_timestamp()")
    for _ in range(2):
        ended = jangbu("alerts", "test", "--json", **nobody)
        assert (ended.code, ended.json["noted"]) == (1, True)
    ended = jangbu("webhooks", "test", "--json", **nobody)
    assert (ended.code, ended.json["noted"]) == (1, True)
    assert await lines(connection, before) == [
        ("channel.test", f"channel:{name}", "command", getpass.getuser())
        for name in ("log", "webhook", "log", "webhook", "app")
    ]
    rows = await connection.fetch("SELECT channel, error FROM jangbu.channel_tests ORDER BY channel")
    assert [tuple(row) for row in rows] == [
        ("app", "the receiver cannot be reached: nobody listens there"),
        ("log", None),
        ("webhook", "the receiver cannot be reached: nobody listens there"),
    ], "whoever looks at the channels sees how it ended"


async def test_an_upgrade_of_the_schema_is_written_down_in_it(jangbu: Jangbu, connection: "Connection[Any]") -> None:
    await connection.execute("DROP SCHEMA jangbu CASCADE")
    jangbu.ok("db", "upgrade")
    assert await lines(connection, datetime(2020, 1, 1, tzinfo=UTC)) == [
        ("schema.upgrade", "schema", "command", getpass.getuser())
    ]


async def test_a_restored_book_says_whence_it_comes(kept: Kept, new: Path) -> None:
    kept.jangbu.ok("db", "restore", str(kept.portable), "--data-dir", str(new), "--no-verify")
    address = kept.jangbu.json("db", "url", "--data-dir", str(new))["url"]
    opened = await connect(address)
    rows = await opened.fetch("SELECT target, after::text FROM jangbu.audit WHERE action = 'ledger.restore'")
    await opened.close()
    [(target, after)] = [tuple(row) for row in rows]
    assert (target, json.loads(after)["backup"]) == ("ledger", "portable")
