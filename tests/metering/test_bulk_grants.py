"""Files of grants against a real PostgreSQL: nothing of a wrong one is granted, and nobody is granted a line twice."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock
from jangbu.domain.grant_files import BYTES_MAX
from jangbu.domain.grant_flaws import Flaw
from jangbu.domain.ledger import TOKENS_MAX
from jangbu.domain.windows import zone_named
from jangbu.errors import DatabaseUnreachable, IdempotencyConflict, InvalidInput, TooLarge
from jangbu.metering import bulk_grants
from jangbu.metering.accounts import Accounts
from jangbu.metering.audit import Audit
from jangbu.metering.verify import Verification
from jangbu.storage import accounts as storage
from jangbu.storage.database import Database
from tests.faults.proxy import lossy_proxy
from tests.metering.later import end_grants, it_is

UTC_ZONE = zone_named("UTC")
USERS = [f"user-{number:03}" for number in range(137)]
FILE = "user,tokens\n" + "".join(f"{user},{number + 1}\n" for number, user in enumerate(USERS))
TOTAL = sum(range(1, len(USERS) + 1))

GRANT = """
import asyncio, sys
from jangbu.config import Settings
from jangbu.domain.windows import zone_named
from jangbu.wiring import open_metering

async def main() -> None:
    async with open_metering(Settings.load(), delivers=False) as ledger:
        bulk = ledger.accounts.in_bulk
        checked = await bulk.check(sys.stdin.read(), zone_named("UTC"), key="june")
        print("checked", flush=True)
        granted = await bulk.grant(checked, tell=lambda done, total: print(done, flush=True))
        print("granted", len(granted.new), granted.is_whole, flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def accounts(database: Database) -> Accounts:
    opened = Accounts(database, SystemClock(), project="default", retry_seconds=2)
    async with database.connection() as connection:
        for user in USERS:
            await storage.create(connection, opened.id_of(user), "default", user)
    return opened


async def granted_to(database: Database) -> list[list[tuple[int, int]]]:
    """Give what each user has, and what each of their grants is."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT a.user_id, b.granted, g.amount FROM jangbu.grants AS g JOIN jangbu.accounts AS a USING (account_id)"
            " JOIN jangbu.balances AS b USING (account_id, asset)"
        )
    return [[(row["granted"], row["amount"]) for row in rows if row["user_id"] == user] for user in USERS]


async def each_once(database: Database) -> None:
    """See that everybody was granted their line, once, and that the book adds up."""
    assert await granted_to(database) == [[(number + 1, number + 1)] for number in range(len(USERS))]
    assert (await Verification(database, "default").run()).mismatches == ()


async def audited(database: Database, action: str) -> list[Any]:
    audit = Audit(database, SystemClock(), project="default")
    return [line for line in await audit.page(limit=1_000) if line.action == action]


async def test_a_file_is_looked_at_and_granted_and_a_second_time_changes_nothing(
    accounts: Accounts, database: Database
) -> None:
    checked = await accounts.in_bulk.check(FILE, UTC_ZONE, key="june")
    assert (len(checked.lines), len(checked.left), checked.tokens, checked.problems) == (137, 137, TOTAL, ())
    assert await granted_to(database) == [[] for _ in USERS], "to look at it grants nothing"
    told: list[tuple[int, int]] = []
    granted = await accounts.in_bulk.grant(checked, tell=lambda done, total: told.append((done, total)))
    assert (len(granted.new), granted.tokens, granted.is_whole) == (137, TOTAL, True)
    assert told == [(50, 137), (100, 137), (137, 137)]
    await each_once(database)
    again = await accounts.in_bulk.check(FILE, UTC_ZONE, key="june")
    assert (len(again.lines), again.left) == (137, ())
    for each in (checked, again):
        repeated = await accounts.in_bulk.grant(each)
        assert (repeated.new, repeated.is_whole) == ((), True)
        assert [line.grant for line in repeated.lines] == [line.grant for line in granted.lines]
    await each_once(database)


async def test_each_line_has_its_line_in_the_audit_and_the_file_one(accounts: Accounts, database: Database) -> None:
    for _ in range(2):
        await accounts.in_bulk.grant(await accounts.in_bulk.check(FILE, UTC_ZONE, key="june"))
    lines = await audited(database, "account.grant")
    assert sorted(line.target for line in lines) == [f"account:{user}" for user in USERS]
    assert {line.after["file"] for line in lines} == {"june"}
    [file] = await audited(database, "account.grant_file")
    assert (file.target, file.after) == ("grants:june", {"accounts": 137, "tokens": TOTAL})


async def test_a_line_is_granted_as_a_grant_of_its_own_is(accounts: Accounts) -> None:
    ends = datetime.now(UTC) + timedelta(days=1)
    await accounts.grant(USERS[0], 100, key="one", source="gift", priority=-1, expires_at=ends)
    text = f"user,tokens,expires,priority,source\n{USERS[1]},100,{ends.isoformat()},-1,gift\n"
    await accounts.in_bulk.grant(await accounts.in_bulk.check(text, UTC_ZONE, key="one"))
    alone, of_file = [(await accounts.grants(user))[0] for user in USERS[:2]]
    kept = ("amount", "source", "priority", "expires_at", "consumed", "expired")
    assert [getattr(of_file, name) for name in kept] == [getattr(alone, name) for name in kept]
    [entry] = await accounts.history(USERS[1])
    assert (entry.kind.value, entry.delta, entry.balance_after) == ("grant", 100, 100)


async def test_grants_that_ended_burn_before_a_file_adds_to_them(accounts: Accounts, database: Database) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    await accounts.grant(USERS[0], 100, key="first", expires_at=ends)
    await end_grants(database)
    await accounts.in_bulk.grant(await accounts.in_bulk.check(f"user,tokens\n{USERS[0]},7", UTC_ZONE, key="june"))
    assert [entry.delta for entry in await accounts.history(USERS[0])] == [7, -100, 100]
    assert (await accounts.balance(USERS[0])).available == 7
    assert (await Verification(database, "default").run()).mismatches == ()


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        ("nobody,5", Flaw.UNKNOWN), ("user-002,5,2020-01-01", Flaw.PAST), ("user-002,0", Flaw.TOKENS),
        ("user-001,5", Flaw.TWICE), (f"user-000,{TOKENS_MAX}", Flaw.TOO_MUCH),
    ],
)  # fmt: skip
async def test_nothing_is_granted_where_a_line_is_wrong(
    accounts: Accounts, database: Database, line: str, flaw: Flaw
) -> None:
    await accounts.grant("user-000", TOKENS_MAX, key="a")
    before = await granted_to(database)
    checked = await accounts.in_bulk.check(
        f"user,tokens,expires\nuser-001,5\n{line}\n", zone_named("Asia/Seoul"), key="june"
    )
    assert [(each.line, each.flaw) for each in checked.problems] == [(3, flaw)]
    if flaw is Flaw.PAST:
        assert checked.problems[0].message == "the expiry '2020-01-01' has passed already", "as it is written"
    with pytest.raises(InvalidInput, match="line 3 cannot be granted"):
        await accounts.in_bulk.grant(checked)
    assert await granted_to(database) == before


async def test_a_key_stands_for_the_lines_in_whatever_form_and_for_no_others(
    accounts: Accounts, database: Database
) -> None:
    text = "user,tokens\nuser-000,5\nuser-001,1000\n"
    same = 'tokens;user;source\r\n"1,000";user-001;\r\n5;user-000;purchase\r\n'.encode("utf-16")
    first = await accounts.in_bulk.grant(await accounts.in_bulk.check(text, UTC_ZONE, key="june"))
    again = await accounts.in_bulk.grant(await accounts.in_bulk.check(same, UTC_ZONE, key="june"))
    assert (len(first.new), len(again.new)) == (2, 0)
    for other in (text.replace("5", "6"), text + "user-002,1\n", text.replace("user-001,1000\n", "")):
        with pytest.raises(IdempotencyConflict):
            await accounts.in_bulk.check(other, UTC_ZONE, key="june")
    assert len(await audited(database, "account.grant")) == 2


async def test_of_two_files_that_are_looked_at_under_one_key_one_is_granted(
    accounts: Accounts, database: Database
) -> None:
    texts = ("user,tokens\nuser-000,5\n", "user,tokens\nuser-001,7\n")
    one, other = [await accounts.in_bulk.check(text, UTC_ZONE, key="june") for text in texts]
    await accounts.in_bulk.grant(one)
    with pytest.raises(IdempotencyConflict):
        await accounts.in_bulk.grant(other)
    assert [line.target for line in await audited(database, "account.grant")] == ["account:user-000"]


async def test_a_file_that_was_broken_off_and_then_edited_grants_nobody_a_second_time(
    accounts: Accounts, database: Database
) -> None:
    def broken_off(done: int, total: int) -> None:
        raise KeyError(done)

    checked = await accounts.in_bulk.check(FILE, UTC_ZONE, key="june")
    with pytest.raises(KeyError):
        await accounts.in_bulk.grant(checked, tell=broken_off)
    edited = FILE.replace("user-000,1\n", "user-000,2\n")
    for zone in (UTC_ZONE, zone_named("Asia/Seoul")):
        with pytest.raises(IdempotencyConflict, match="for a file with other lines") as refused:
            await accounts.in_bulk.check(edited, zone, key="june")
        assert "only the lines that are new into a file under a new key" in refused.value.hint
    assert sum(bool(each) for each in await granted_to(database)) == 50
    assert (await accounts.in_bulk.grant(await accounts.in_bulk.check(FILE, UTC_ZONE, key="june"))).is_whole
    await each_once(database)


async def test_under_another_key_the_same_lines_are_granted_once_more(accounts: Accounts) -> None:
    text = "user,tokens\nuser-000,5\n"
    for key in ("june", "june", "july"):
        await accounts.in_bulk.grant(await accounts.in_bulk.check(text, UTC_ZONE, key=key))
    assert (await accounts.balance("user-000")).granted == 10


async def test_no_key_of_a_single_grant_meets_a_files(accounts: Accounts) -> None:
    await accounts.grant("user-000", 5, key="file:june")
    await accounts.grant("user-000", 5, key="file-end:june")
    text = "user,tokens\nuser-000,7\n"
    checked = await accounts.in_bulk.check(text, UTC_ZONE, key="june")
    assert len(checked.left) == 1
    assert (await accounts.in_bulk.grant(checked)).is_whole
    assert (await accounts.grant("user-000", 9, key="june")).replayed is False
    assert (await accounts.balance("user-000")).granted == 26


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "\0", " june", "june ", " "])
async def test_a_key_that_is_none_is_refused(accounts: Accounts, key: str) -> None:
    with pytest.raises(InvalidInput, match="idempotency key"):
        await accounts.in_bulk.check("user,tokens\nuser-000,5\n", UTC_ZONE, key=key)
    longest = await accounts.in_bulk.check("user,tokens\nuser-000,5\n", UTC_ZONE, key="x" * 200)
    assert (await accounts.in_bulk.grant(longest)).is_whole


async def test_a_file_that_is_too_large_is_not_read(accounts: Accounts) -> None:
    with pytest.raises(TooLarge):
        await accounts.in_bulk.check(b"x" * (BYTES_MAX + 1), UTC_ZONE, key="june")


async def test_what_time_did_not_suffice_for_is_gone_on_with(accounts: Accounts, database: Database) -> None:
    checked = await accounts.in_bulk.check(FILE, UTC_ZONE, key="june")
    nothing = await accounts.in_bulk.grant(checked, seconds=0)
    assert (nothing.lines, nothing.is_whole) == ((), False)
    assert (await accounts.in_bulk.grant(checked, seconds=60)).is_whole
    await each_once(database)


async def test_a_line_whose_time_came_meanwhile_is_no_fault_once_it_is_granted(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_grants, "_LINES", 1)
    ends = datetime.now(UTC) + timedelta(hours=1)
    text = f"user,tokens,expires\nuser-000,5,{ends.isoformat()}\nuser-001,7,\n"
    assert (await accounts.in_bulk.grant(await accounts.in_bulk.check(text, UTC_ZONE, key="june"))).is_whole
    it_is(monkeypatch, ends)
    again = await accounts.in_bulk.check(text, UTC_ZONE, key="june")
    assert (again.problems, again.left) == ((), ())


async def test_a_transaction_that_fails_grants_none_of_its_lines_and_says_how_far_it_came(
    accounts: Accounts, database: Database
) -> None:
    checked = await accounts.in_bulk.check(FILE, UTC_ZONE, key="june")
    by_account = sorted(checked.lines, key=lambda line: line.account)
    async with database.connection() as connection:
        odd = by_account[60].line.amount
        await connection.execute(f"ALTER TABLE jangbu.grants ADD CONSTRAINT odd CHECK (amount <> {odd})")
        with pytest.raises(InvalidInput) as refused:
            await accounts.in_bulk.grant(checked)
        assert refused.value.hint == "50 of 137 lines are granted", "to repeat it would not help"
        has = {line.line.user for line in by_account[:50]}
        assert [bool(each) for each in await granted_to(database)] == [user in has for user in USERS]
        await connection.execute("ALTER TABLE jangbu.grants DROP CONSTRAINT odd")
    again = await accounts.in_bulk.check(FILE, UTC_ZONE, key="june")
    assert len(again.left) == 87
    assert len((await accounts.in_bulk.grant(again)).new) == 87
    await each_once(database)


async def test_a_line_whose_time_comes_before_it_is_granted_is_refused(
    accounts: Accounts, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    text = f"user,tokens,expires\nuser-000,5,\nuser-001,7,{ends.isoformat()}\n"
    checked = await accounts.in_bulk.check(text, UTC_ZONE, key="june")
    it_is(monkeypatch, ends)
    with pytest.raises(InvalidInput, match=r"line 3 cannot be granted: the expiry '.*' has passed already") as refused:
        await accounts.in_bulk.grant(checked)
    hint = "put the lines that are left into a file under a new key, with a time to come"
    assert refused.value.hint == f"0 of 2 lines are granted; {hint}"
    assert await granted_to(database) == [[] for _ in USERS]


async def test_what_was_committed_without_a_word_was_granted_by_this_run(
    accounts: Accounts, database: Database, database_url: str
) -> None:
    posted: list[object] = []
    end = telemetry.subscribe(lambda event, facts: posted.append(facts) if event == "accounts.posted" else None)
    with tempfile.TemporaryDirectory(prefix="jb") as folder:
        async with lossy_proxy(database_url, Path(folder)) as (address, proxy):
            behind = await Database.connect(address)
            bulk = Accounts(behind, SystemClock(), project="default", retry_seconds=20).in_bulk

            def swallow(done: int, _total: int) -> None:
                if done == 50:
                    proxy.swallow_answers_after = b"COMMIT"

            granted = await bulk.grant(await bulk.check(FILE, UTC_ZONE, key="june"), tell=swallow)
            await behind.close()
    end()
    assert proxy.swallowed == 1
    assert (len(granted.new), len(posted)) == (len(USERS), len(USERS))
    await each_once(database)


async def test_where_the_database_is_away_it_is_said_how_far_it_came_and_that_repeating_helps(
    accounts: Accounts, database_url: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="jb") as folder:
        async with lossy_proxy(database_url, Path(folder)) as (address, proxy):
            behind = await Database.connect(address)
            bulk = Accounts(behind, SystemClock(), project="default", retry_seconds=1).in_bulk

            def cut_off(_done: int, _total: int) -> None:
                proxy.refuses = True

            with pytest.raises(DatabaseUnreachable) as refused:
                await bulk.grant(await bulk.check(FILE, UTC_ZONE, key="june"), tell=cut_off)
            await behind.close()
    assert refused.value.hint == "50 of 137 lines are granted; repeat it to go on"


async def test_a_file_of_which_nothing_is_left_has_its_line_in_the_audit_once_it_is_looked_at(
    accounts: Accounts, database: Database
) -> None:
    def dies_at_the_end(done: int, total: int) -> None:
        if done == total:
            raise KeyError(done)

    with pytest.raises(KeyError):
        await accounts.in_bulk.grant(await accounts.in_bulk.check(FILE, UTC_ZONE, key="june"), tell=dies_at_the_end)
    assert await audited(database, "account.grant_file") == []
    for _ in range(2):
        assert (await accounts.in_bulk.check(FILE, UTC_ZONE, key="june")).left == ()
    [file] = await audited(database, "account.grant_file")
    assert (file.target, file.after) == ("grants:june", {"accounts": 137, "tokens": TOTAL})


@contextmanager
def granting(database_url: str) -> Iterator["subprocess.Popen[str]"]:
    """Grant the file in a process of its own, which tells how far it is."""
    environment = {**os.environ, "JANGBU_DATABASE_URL": database_url}
    with subprocess.Popen(
        [sys.executable, "-c", GRANT],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(FILE)
        process.stdin.close()
        yield process


async def test_a_process_that_is_killed_half_way_is_gone_on_with(
    accounts: Accounts, database: Database, database_url: str
) -> None:
    with granting(database_url) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["checked", "50"]
        process.send_signal(signal.SIGKILL)
    has = [each for each in await granted_to(database) if each]
    assert 50 <= len(has) <= len(USERS)
    checked = await accounts.in_bulk.check(FILE, UTC_ZONE, key="june")
    granted = await accounts.in_bulk.grant(checked)
    assert (len(granted.lines), granted.is_whole) == (137, True)
    await each_once(database)


async def test_two_processes_that_grant_one_file_at_once_grant_it_once(
    accounts: Accounts, database: Database, database_url: str
) -> None:
    with granting(database_url) as one, granting(database_url) as other:
        ended = [each.stdout.read().split() for each in (one, other) if each.stdout is not None]
    assert [words[-1] for words in ended] == ["True", "True"]
    assert sum(int(words[-2]) for words in ended) == len(USERS)
    await each_once(database)
    assert len(await audited(database, "account.grant")) == len(USERS)
    assert len(await audited(database, "account.grant_file")) == 1


async def test_many_tasks_at_once_with_files_in_another_order_do_not_hold_each_other_up(
    accounts: Accounts, database: Database
) -> None:
    head, *lines = FILE.splitlines()
    files = [FILE, "\n".join([head, *reversed(lines)]), "\n".join([head, *lines[60:], *lines[:60]])]
    checked = [await accounts.in_bulk.check(each, UTC_ZONE, key="june") for each in files]
    granted = await asyncio.gather(*(accounts.in_bulk.grant(each) for each in checked))
    assert [each.is_whole for each in granted] == [True, True, True]
    assert sum(len(each.new) for each in granted) == len(USERS)
    await each_once(database)
