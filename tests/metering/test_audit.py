"""The audit: a change and its line are done together, and nothing takes a line away."""

import getpass
import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from jangbu.clock import SystemClock
from jangbu.domain.members import Actor, ActorKind
from jangbu.errors import InvalidInput
from jangbu.metering.accounts import Accounts
from jangbu.metering.audit import Change, acting_as
from jangbu.metering.people import People
from jangbu.storage.database import Database
from jangbu.storage.statements import statement, statement_names

KIM = Actor(ActorKind.MEMBER, uuid4(), "kim@shop.example", "request-1")


@pytest.fixture
async def accounts(database: Database) -> Accounts:
    opened = Accounts(database, SystemClock(), project="shop", retry_seconds=2)
    # Opened beneath the use case, which would write a line of its own.
    await database.rows("account_create", opened.id_of("lee"), "shop", "lee")
    return opened


async def noted(people: People, database: Database, change: Change) -> None:
    async with database.connection() as connection:
        await people.audit.note(connection, change)


async def test_a_use_case_writes_its_own_line_in_the_name_of_whoever_acts(people: People, accounts: Accounts) -> None:
    before = datetime.now(UTC)
    with acting_as(KIM):
        posted = await accounts.grant("lee", 500, key="a", source="gift")
    (line,) = await people.audit.page()
    assert (line.actor, line.action, line.target) == (KIM, "account.grant", "account:lee")
    assert before <= line.at <= datetime.now(UTC)
    assert line.after == {
        "amount": 500,
        "source": "gift",
        "priority": 0,
        "expires_at": None,
        "id": str(posted.id),
    }


async def test_where_no_door_says_who_acts_it_is_whoever_runs_the_process(people: People, accounts: Accounts) -> None:
    await accounts.block("lee")
    (line,) = await people.audit.page()
    assert line.actor == Actor.of_command(getpass.getuser())


async def test_what_was_done_before_has_no_line_of_its_own(people: People, accounts: Accounts) -> None:
    for _ in range(2):
        await accounts.grant("lee", 500, key="a")
        await accounts.adjust("lee", -100, reason="twice by hand", key="b")
        await accounts.create("park")
        await accounts.block("lee")
        await accounts.block("lee", key="c")
    said = sorted((line.action, line.target) for line in await people.audit.page())
    assert said == [
        ("account.adjust", "account:lee"),
        ("account.block", "account:lee"),
        ("account.create", "account:park"),
        ("account.grant", "account:lee"),
    ]


async def test_a_write_that_is_refused_leaves_no_line(people: People, accounts: Accounts) -> None:
    with pytest.raises(InvalidInput):
        await accounts.grant("lee", 0, key="a")
    assert await people.audit.page() == []


async def test_a_use_case_whose_line_fails_changes_nothing(people: People, accounts: Accounts) -> None:
    with acting_as(Actor(ActorKind.MEMBER, None, "a member without an id")):
        with pytest.raises(InvalidInput):
            await accounts.grant("lee", 500, key="a")
        with pytest.raises(InvalidInput):
            await accounts.block("lee")
    assert (await accounts.balance("lee")).granted == 0
    assert (await accounts.find("lee")).state == "active"
    assert await people.audit.page() == []


async def test_lines_are_paged_newest_first_and_by_who_and_what(people: People, database: Database) -> None:
    key = Actor(ActorKind.KEY, uuid4(), "reports")
    console = Actor.of_command("root")

    for number, actor in enumerate((KIM, key, console, KIM)):
        with acting_as(actor):
            await noted(people, database, Change("prices.put", f"price:{number}"))
    first = await people.audit.page(3)
    assert [line.target for line in first] == ["price:3", "price:2", "price:1"]
    rest = await people.audit.page(3, (first[-1].at, first[-1].id))
    assert [(line.target, line.actor) for line in rest] == [("price:0", KIM)]
    assert [line.actor for line in await people.audit.page(actor=key.id)] == [key]
    assert [line.actor for line in await people.audit.page(target="price:2")] == [console]


async def test_what_is_said_is_bounded_and_always_storable(people: People, database: Database) -> None:
    said = {"text": "\x00\ud800" + "x" * 10_000}
    await noted(people, database, Change("prices.put", "prices", before={"none": None}, after=said))
    (line,) = await people.audit.page()
    assert line.before == {"none": None}
    assert line.after is not None
    assert len(str(line.after)) < 5_000


@pytest.mark.parametrize("name", statement_names())
def test_no_statement_changes_a_line(name: str) -> None:
    if name == "audit_erase":
        pytest.skip("it puts another name in the place of an erased user's, and takes no line away")
    code = re.sub(r"--[^\n]*", "", statement(name))
    assert not re.search(r"(?:UPDATE|DELETE\s+FROM|TRUNCATE|MERGE\s+INTO)\s+jangbu\.audit\b", code)


def test_the_audit_is_written_to_in_one_place() -> None:
    source = Path(__file__).parents[2] / "src/jangbu"
    assert [path.name for path in source.rglob("*.sql") if "INTO jangbu.audit" in path.read_text()] == [
        "audit_write.sql"
    ]
