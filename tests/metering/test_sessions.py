"""Sessions: who is let in, how guessing is held up, and when it is over."""

import asyncio
import statistics
import threading
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher

from jangbu.clock import SystemClock
from jangbu.domain.members import Actor, MemberRole
from jangbu.errors import LimitReached, Unauthenticated
from jangbu.metering.people import People, people_of
from jangbu.storage.database import Database
from tests.metering.test_members import GOOD, OTHER, ROOT, invited

WRONG = "quite another password"
NEAR, FAR = "203.0.113.7", "198.51.100.9"


@pytest.fixture
async def kim(people: People) -> People:
    """Give a ledger with one owner, kim."""
    await invited(people, "kim")
    return people


@pytest.fixture
async def dear(kim: People, database: Database) -> AsyncIterator[People]:
    """Give the same ledger with passwords at what they really cost."""
    opened = people_of(database, SystemClock(), project="shop")
    await opened.sessions.sign_in("kim", GOOD, None)
    yield opened
    opened.members.close()


async def change(database: Database, command: str) -> None:
    async with database.connection() as connection:
        await connection.execute(command)


async def refused(people: People, name: str, password: str, address: str | None = None) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        await people.sessions.sign_in(name, password, address)
    return str(refusal.value)


async def waits(people: People, name: str, address: str | None = None, password: str = WRONG) -> int:
    """Give for how long somebody is held up, 0 where they are not."""
    try:
        await people.sessions.sign_in(name, password, address)
    except LimitReached as error:
        return error.seconds
    except Unauthenticated:
        return 0
    return 0


async def test_who_signs_in_is_known_by_the_token(kim: People, database: Database) -> None:
    session, token = await kim.sessions.sign_in("KIM", GOOD, NEAR, request_id="r-1")
    found = await kim.sessions.of(token)
    assert found == session
    assert (session.member.name, session.member.role) == ("kim", MemberRole.OWNER)
    assert session.member.last_signed_in_at is not None
    lasts = session.expires_at - session.created_at
    assert abs(lasts - timedelta(hours=12)) < timedelta(seconds=1)
    (line,) = [line for line in await kim.audit.page() if line.action == "sessions.begin"]
    assert (line.actor, line.after) == (Actor.of_member(session.member, "r-1"), {"address": NEAR})


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 44, "\x00" * 43, "\ud800" * 43])
async def test_what_is_no_token_opens_nothing(kim: People, token: str) -> None:
    assert await kim.sessions.of(token) is None
    await kim.sessions.end(token)


async def test_each_session_has_a_form_token_of_its_own(kim: People) -> None:
    (one, _), (two, token) = [await kim.sessions.sign_in("kim", GOOD, NEAR) for _ in range(2)]
    assert one.csrf_token != two.csrf_token
    again = await kim.sessions.of(token)
    assert again is not None
    assert again.accepts(two.csrf_token)
    for other in (one.csrf_token, "", two.csrf_token[:-1], two.csrf_token + "0", "\ud800", token):
        assert not again.accepts(other)
    assert two.csrf_secret.hex() not in two.csrf_token


async def test_a_session_ends_once_and_alone(kim: People) -> None:
    (own, one), (_, two) = [await kim.sessions.sign_in("kim", GOOD, NEAR) for _ in range(2)]
    await kim.sessions.end(one, request_id="r-1")
    await kim.sessions.end(one)
    assert await kim.sessions.of(one) is None
    assert await kim.sessions.of(two) is not None
    (line,) = [line for line in await kim.audit.page() if line.action == "sessions.end"]
    assert (line.actor, line.target) == (Actor.of_member(own.member, "r-1"), "member:kim")
    assert line.after == {"sessions": 1}


async def test_all_sessions_of_a_member_end_but_their_own(kim: People) -> None:
    await invited(kim, "lee")
    sessions = [await kim.sessions.sign_in("kim", GOOD, NEAR) for _ in range(3)]
    _, others = await kim.sessions.sign_in("lee", GOOD, NEAR)
    (own, kept), *_ = sessions
    assert await kim.sessions.end_all(own.member, Actor.of_member(own.member), but=own.id) == 2
    assert [await kim.sessions.of(token) is not None for _, token in sessions] == [True, False, False]
    assert await kim.sessions.end_all(own.member, ROOT) == 1
    assert await kim.sessions.of(kept) is None
    assert await kim.sessions.of(others) is not None


async def test_a_session_is_over_when_its_time_is_or_when_nothing_was_asked_for(
    kim: People, database: Database
) -> None:
    _, token = await kim.sessions.sign_in("kim", GOOD, NEAR)
    await change(database, "UPDATE jangbu.sessions SET last_seen_at = last_seen_at - interval '59 minutes'")
    seen = await kim.sessions.of(token)
    assert seen is not None
    assert await database.now() - seen.last_seen_at < timedelta(minutes=1)
    await change(database, "UPDATE jangbu.sessions SET last_seen_at = last_seen_at - interval '61 minutes'")
    assert await kim.sessions.of(token) is None
    _, token = await kim.sessions.sign_in("kim", GOOD, NEAR)
    await change(database, "UPDATE jangbu.sessions SET expires_at = clock_timestamp()")
    assert await kim.sessions.of(token) is None
    await kim.sessions.purge()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM jangbu.sessions") == 0


async def test_that_a_session_is_seen_is_written_once_a_minute(kim: People, database: Database) -> None:
    _, token = await kim.sessions.sign_in("kim", GOOD, NEAR)
    first = await kim.sessions.of(token)
    assert await kim.sessions.of(token) == first
    await change(database, "UPDATE jangbu.sessions SET last_seen_at = last_seen_at - interval '2 minutes'")
    seen = await asyncio.gather(*(kim.sessions.of(token) for _ in range(20)))
    assert all(each is not None for each in seen)


async def test_a_wrong_password_and_a_name_that_nobody_has_are_refused_alike(kim: People) -> None:
    lee, _ = await kim.members.invite("lee", MemberRole.VIEWER, ROOT)
    await invited(kim, "park")
    await kim.members.block("park", actor=ROOT)
    told = {
        await refused(kim, name, password)
        for name, password in (
            *(("kim", WRONG), ("nobody", GOOD), (lee.name, GOOD), ("park", GOOD), ("kim", ""), ("kim", "x" * 5_000)),
            *(("", GOOD), ("x" * 500, GOOD), ("\x00", GOOD), ("\ud800", "\ud800"), ("kim", "\x00")),
        )
    }
    assert len(told) == 1


async def test_a_name_that_nobody_has_takes_as_long_as_one_that_somebody_has(dear: People, database: Database) -> None:
    took: dict[str, list[float]] = {"kim": [], "nobody": []}
    await refused(dear, "nobody", WRONG)
    for _ in range(15):
        for name, seconds in took.items():
            await change(database, "DELETE FROM jangbu.sign_in_failures")
            began = time.perf_counter()
            await refused(dear, name, WRONG)
            seconds.append(time.perf_counter() - began)
    known, unknown = (statistics.median(seconds) for seconds in took.values())
    assert 0.5 < known / unknown < 2, "the work is the same; a machine that others use adds noise"


async def test_guessing_one_name_is_held_up_longer_each_time_wherever_it_comes_from(
    kim: People, database: Database
) -> None:
    for number in range(5):
        assert await waits(kim, "kim", f"198.51.100.{number}") == 0
    held = []
    for number in range(5, 17):
        held.append(await waits(kim, "kim", f"198.51.100.{number}"))
        await change(database, "UPDATE jangbu.sign_in_failures SET locked_until = clock_timestamp()")
        assert await waits(kim, "kim", f"198.51.100.{number}") == 0
    assert held == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_while_it_lasts_a_lock_keeps_the_right_password_out_and_does_not_grow(
    kim: People, database: Database
) -> None:
    for _ in range(9):
        await waits(kim, "kim", None)
        await change(database, "UPDATE jangbu.sign_in_failures SET locked_until = clock_timestamp()")
    await waits(kim, "kim", None)
    assert 30 <= await waits(kim, "kim", NEAR, GOOD) <= 32
    assert all([30 <= await waits(kim, " KIM", NEAR, GOOD) <= 32 for _ in range(10)])
    await invited(kim, "lee")
    assert await waits(kim, "lee", NEAR, GOOD) == 0


async def test_who_runs_the_ledger_lets_somebody_in_again(kim: People) -> None:
    for _ in range(6):
        await waits(kim, "kim", None)
    assert await waits(kim, "kim", None) > 0
    link = await kim.members.reset("kim", ROOT)
    assert await waits(kim, "kim", None, GOOD) == 0
    for _ in range(6):
        await waits(kim, "kim", None)
    await kim.members.block("kim", False, actor=ROOT)
    assert await waits(kim, "kim", None, GOOD) == 0
    for _ in range(6):
        await waits(kim, "kim", None)
    await kim.members.set_up(link.token, "kim", OTHER)
    assert await waits(kim, "kim", None, OTHER) == 0


async def test_a_thousand_guesses_at_once_are_no_more_than_a_few(dear: People) -> None:
    async def guess() -> str:
        try:
            await dear.sessions.sign_in("kim", WRONG, None)
        except LimitReached as error:
            return "busy" if "many people" in error.message else "locked"
        except Unauthenticated:
            return "guessed"
        return "in"

    ended = [each for _ in range(5) for each in await asyncio.gather(*(guess() for _ in range(200)))]
    assert ended.count("guessed") <= 6
    assert "in" not in ended


async def test_one_address_is_held_up_whatever_names_it_tries(kim: People) -> None:
    for number in range(20):
        assert await waits(kim, f"somebody {number}", NEAR) == 0
    assert await waits(kim, "kim", NEAR, GOOD) > 0
    assert await waits(kim, "kim", FAR, GOOD) == 0


async def test_an_address_that_is_held_up_locks_no_name(kim: People) -> None:
    for number in range(21):
        await waits(kim, f"somebody {number}", NEAR)
    for _ in range(20):
        assert await waits(kim, "kim", NEAR) > 0
    assert await waits(kim, "kim", FAR, GOOD) == 0


async def test_one_network_of_ipv6_is_one_address(kim: People) -> None:
    for number in range(20):
        await waits(kim, f"somebody {number}", f"2001:db8:1:2::{number:x}")
    assert await waits(kim, "other", "2001:db8:1:2:ffff::1") > 0
    assert await waits(kim, "other", "2001:db8:1:3::1") == 0
    for number in range(20):
        await waits(kim, f"somebody else {number}", "::ffff:192.0.2.1")
    assert await waits(kim, "other", "192.0.2.1") > 0


async def test_who_has_one_password_cannot_guess_anothers_without_end(kim: People) -> None:
    await invited(kim, "lee", MemberRole.VIEWER)
    guesses, held = 0, 0
    for number in range(60):
        held = await waits(kim, f"victim {number}", NEAR)
        if held:
            break
        guesses += 1
        if await waits(kim, "lee", NEAR, GOOD):
            break
    assert guesses <= 21


async def test_a_success_forgets_the_failures_of_the_name(kim: People) -> None:
    for _ in range(5):
        for _ in range(4):
            assert await waits(kim, "kim", None) == 0
        assert await waits(kim, "kim", None, GOOD) == 0


async def test_failures_are_forgotten_after_a_day(kim: People, database: Database) -> None:
    for _ in range(6):
        await waits(kim, "kim", NEAR)
    await change(
        database,
        "UPDATE jangbu.sign_in_failures SET failed_at = failed_at - interval '25 hours',"
        " locked_until = locked_until - interval '25 hours'",
    )
    for _ in range(5):
        assert await waits(kim, "kim", NEAR) == 0
    await change(database, "UPDATE jangbu.sign_in_failures SET failed_at = failed_at - interval '25 hours'")
    await kim.sessions.purge()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM jangbu.sign_in_failures") == 0


async def test_what_is_typed_as_a_name_is_kept_nowhere(kim: People, database: Database) -> None:
    await refused(kim, GOOD, "kim", NEAR)
    async with database.connection() as connection:
        kept = str(await connection.fetch("SELECT f::text FROM jangbu.sign_in_failures AS f"))
    assert GOOD not in kept
    assert NEAR not in kept


async def test_a_flood_of_passwords_takes_neither_the_loop_nor_the_memory(
    dear: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, compare = 0, PasswordHasher.verify
    turned_meanwhile, threads = list[int](), set[int]()

    def watched(*given: Any) -> bool:
        threads.add(threading.get_ident())
        before = turns
        try:
            return compare(*given)
        finally:
            turned_meanwhile.append(turns - before)

    async def guess(number: int) -> type[Exception]:
        try:
            await dear.sessions.sign_in(f"name {number}", WRONG, None)
        except (LimitReached, Unauthenticated) as error:
            return type(error)
        raise AssertionError("nobody has this name")

    monkeypatch.setattr(PasswordHasher, "verify", watched)
    flood = asyncio.gather(*(guess(number) for number in range(500)))
    while not flood.done():
        await asyncio.sleep(0.001)
        turns += 1
    ended = await flood
    assert 0 < ended.count(Unauthenticated) <= 40
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    assert sum(turned_meanwhile) > len(turned_meanwhile) > 0, "the loop goes on while passwords are compared"
    assert await waits(dear, "kim", None, GOOD) == 0


async def test_who_hangs_up_makes_no_room_for_more(dear: People) -> None:
    for _ in range(50):
        guess = asyncio.create_task(dear.sessions.sign_in("nobody", WRONG, None))
        await asyncio.sleep(0.002)
        guess.cancel()
        await asyncio.gather(guess, return_exceptions=True)
    async with asyncio.timeout(60):
        while True:
            try:
                await dear.sessions.sign_in("kim", GOOD, None)
                break
            except LimitReached:
                await asyncio.sleep(0.1)


async def test_a_password_that_is_changed_while_it_is_compared_lets_nobody_in(kim: People, dear: People) -> None:
    link = await kim.members.reset("kim", ROOT)
    signing_in = [asyncio.create_task(dear.sessions.sign_in("kim", GOOD, None)) for _ in range(3)]
    await kim.members.set_up(link.token, "kim", OTHER)
    ended = await asyncio.gather(*signing_in, return_exceptions=True)
    let_in = [each[1] for each in ended if isinstance(each, tuple)]
    assert [await kim.sessions.of(token) for token in let_in] == [None] * len(let_in)


async def test_a_digest_that_was_cheaper_to_make_is_made_again(dear: People, database: Database) -> None:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD)
    await change(database, f"UPDATE jangbu.members SET password = '{cheap}'")
    await dear.sessions.sign_in("kim", GOOD, None)
    async with database.connection() as connection:
        assert "m=47104" in await connection.fetchval("SELECT password FROM jangbu.members")
    assert await waits(dear, "kim", None, GOOD) == 0
