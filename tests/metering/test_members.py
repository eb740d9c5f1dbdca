"""Members: invited, set up, given roles and kept out; the last owner stays."""

import asyncio
import unicodedata
from datetime import timedelta
from typing import Any

import pytest

from jangbu.clock import SystemClock
from jangbu.domain.keys import Role
from jangbu.domain.members import Actor, Member, MemberRole
from jangbu.errors import (
    IdempotencyConflict,
    InvalidInput,
    LastOwner,
    NotFound,
    NotPermitted,
    PasswordRefused,
    Unauthenticated,
)
from jangbu.metering.people import People, people_of
from jangbu.storage.database import Database

ROOT = Actor.of_command("root")
GOOD = "오이 냉국 한 그릇 더"
OTHER = "correct horse battery"


async def invited(people: People, name: str, role: MemberRole = MemberRole.OWNER, password: str = GOOD) -> Member:
    _, link = await people.members.invite(name, role, ROOT)
    return await people.members.set_up(link.token, name, password)


async def actions(people: People) -> list[tuple[str, str, Any]]:
    lines = await people.audit.page(1_000)
    return [(line.action, line.target, line.after) for line in reversed(lines)]


async def test_the_first_owner_is_made_by_a_link(people: People) -> None:
    assert await people.members.is_empty()
    link = await people.members.first_link()
    assert link.path == f"/dashboard/set-up?token={link.token}"
    assert (await people.members.offered(link.token)).member is None
    owner = await people.members.set_up(link.token, " Kim@Shop.example ", GOOD)
    assert (owner.name, owner.role, owner.has_password, owner.roles) == (
        "Kim@Shop.example",
        MemberRole.OWNER,
        True,
        frozenset({Role.OWNER}),
    )
    assert not await people.members.is_empty()
    assert await actions(people) == [("members.first", "member:Kim@Shop.example", None)]


async def test_of_the_first_links_one_works_once(people: People) -> None:
    links = [await people.members.first_link() for _ in range(8)]
    made = await asyncio.gather(
        *(people.members.set_up(link.token, f"kim{number}", GOOD) for number, link in enumerate([*links, links[0]])),
        return_exceptions=True,
    )
    assert len([each for each in made if isinstance(each, Member)]) == 1
    assert {type(each) for each in made} == {Member, NotFound}
    assert len(await people.members.list()) == 1
    for link in links:
        with pytest.raises(NotFound, match="used before"):
            await people.members.offered(link.token)


async def test_the_first_link_is_over_when_a_member_was_made_otherwise(people: People) -> None:
    link = await people.members.first_link()
    await people.members.invite("kim", MemberRole.VIEWER, ROOT)
    with pytest.raises(NotFound):
        await people.members.set_up(link.token, "lee", GOOD)


async def test_an_invitation_is_one_members_own_and_used_once(people: People) -> None:
    member, link = await people.members.invite("이서연", MemberRole.FINANCE, ROOT)
    assert (member.has_password, member.can_sign_in, link.member) == (False, False, member)
    assert (await people.members.offered(link.token)).member == member
    with pytest.raises(InvalidInput, match="another member's"):
        await people.members.set_up(link.token, "kim", GOOD)
    done = await people.members.set_up(link.token, unicodedata.normalize("NFD", "이서연"), GOOD)
    assert (done.id, done.name, done.has_password, done.can_sign_in) == (member.id, "이서연", True, True)
    with pytest.raises(NotFound):
        await people.members.set_up(link.token, "이서연", OTHER)


async def test_a_link_that_two_use_at_once_gives_one_of_them_a_password(people: People) -> None:
    _, link = await people.members.invite("kim", MemberRole.VIEWER, ROOT)
    chosen = [GOOD, OTHER, "korea-seoul-2026", "내 고양이는 밤에만 운다"]
    made = await asyncio.gather(
        *(people.members.set_up(link.token, "", password) for password in chosen), return_exceptions=True
    )
    (works,) = [password for password, each in zip(chosen, made, strict=True) if isinstance(each, Member)]
    assert {type(each) for each in made} == {Member, NotFound}
    session, _ = await people.sessions.sign_in("kim", works, None)
    assert session.member.name == "kim"


async def test_a_newer_link_takes_the_place_of_an_older_one(people: People) -> None:
    _, first = await people.members.invite("kim", MemberRole.VIEWER, ROOT)
    second = await people.members.reset("KIM", ROOT)
    with pytest.raises(NotFound):
        await people.members.set_up(first.token, "kim", GOOD)
    assert (await people.members.set_up(second.token, "", GOOD)).name == "kim"


async def test_a_link_whose_time_is_over_is_no_link(people: People, database: Database) -> None:
    _, link = await people.members.invite("kim", MemberRole.VIEWER, ROOT)
    assert timedelta(days=2) < link.expires_at - await database.now() <= timedelta(days=3)
    async with database.connection() as connection:
        await connection.execute("UPDATE jangbu.set_up_links SET expires_at = clock_timestamp()")
    for token in (link.token, "", "x" * 43, "\x00\ud800", link.token + "x"):
        with pytest.raises(NotFound):
            await people.members.set_up(token, "kim", GOOD)


async def test_a_token_is_kept_nowhere(people: People, database: Database) -> None:
    _, link = await people.members.invite("kim", MemberRole.OWNER, ROOT)
    first = await people.members.first_link()
    await people.members.set_up(link.token, "kim", GOOD)
    _, token = await people.sessions.sign_in("kim", GOOD, "10.0.0.1")
    async with database.connection() as connection:
        tables = ("members", "sessions", "set_up_links", "sign_in_failures", "audit")
        kept = [str(await connection.fetch(f"SELECT t::text FROM jangbu.{table} AS t")) for table in tables]
    for secret in (link.token, first.token, token, GOOD):
        assert not any(secret in text for text in kept)
    assert "$argon2id$" in kept[0]


async def test_a_password_that_is_easily_guessed_is_refused_and_leaves_the_link(people: People) -> None:
    _, link = await people.members.invite("kim", MemberRole.OWNER, ROOT)
    for password, why in (("kQ2mz", "too_short"), ("passwordpassword", "common"), ("x1 " * 400, "too_long")):
        with pytest.raises(PasswordRefused) as refused:
            await people.members.set_up(link.token, "kim", password)
        assert refused.value.weakness == why
        assert password not in str(refused.value)
    assert (await people.members.set_up(link.token, "kim", GOOD)).has_password


async def test_a_reset_ends_the_sessions_when_it_is_used(people: People) -> None:
    await invited(people, "kim")
    _, token = await people.sessions.sign_in("kim", GOOD, None)
    link = await people.members.reset("kim", ROOT)
    assert await people.sessions.of(token) is not None
    await people.members.set_up(link.token, "kim", OTHER)
    assert await people.sessions.of(token) is None
    with pytest.raises(Unauthenticated):
        await people.sessions.sign_in("kim", GOOD, None)
    assert (await people.sessions.sign_in("kim", OTHER, None))[0].member.name == "kim"


async def test_names_differ_by_more_than_capitals(people: People) -> None:
    await people.members.invite("Kim", MemberRole.VIEWER, ROOT)
    for name in ("kim", " KIM ", "ｋｉｍ"):
        with pytest.raises(InvalidInput, match="already"):
            await people.members.invite(name, MemberRole.VIEWER, ROOT)
        assert (await people.members.find(name)).name == "Kim"
    for name in ("", "  ", "x" * 201, "a\nb", "\x00"):
        with pytest.raises(InvalidInput, match="no name"):
            await people.members.invite(name, MemberRole.VIEWER, ROOT)
    with pytest.raises(NotFound):
        await people.members.find("lee")


async def test_members_are_listed_in_the_order_of_their_names(people: People) -> None:
    for name in ("lee", "Kim", "박지우"):
        await people.members.invite(name, MemberRole.VIEWER, ROOT)
    assert [member.name for member in await people.members.list()] == ["Kim", "lee", "박지우"]
    assert [member.name for member in await people.members.list("KIM", 1)] == ["lee"]


async def test_members_of_another_project_do_not_exist(people: People, database: Database) -> None:
    await invited(people, "kim")
    others = people_of(database, SystemClock(), project="other")
    assert await others.members.is_empty()
    with pytest.raises(NotFound):
        await others.members.find("kim")
    with pytest.raises(Unauthenticated):
        await others.sessions.sign_in("kim", GOOD, None)
    _, token = await people.sessions.sign_in("kim", GOOD, None)
    assert await others.sessions.of(token) is None
    assert await others.audit.page() == []
    others.members.close()


async def test_a_role_is_changed_for_open_sessions_too(people: People) -> None:
    await invited(people, "kim")
    lee = await invited(people, "lee", MemberRole.VIEWER)
    _, token = await people.sessions.sign_in("lee", GOOD, None)
    assert (await people.members.give_role(lee.id, MemberRole.DEVELOPER, ROOT)).role is MemberRole.DEVELOPER
    session = await people.sessions.of(token)
    assert session is not None
    assert session.member.role is MemberRole.DEVELOPER
    await people.members.give_role(lee.id, MemberRole.DEVELOPER, ROOT)
    roles = [line for line in await people.audit.page(1_000) if line.action == "members.role"]
    assert [(line.before, line.after) for line in roles] == [({"role": "viewer"}, {"role": "developer"})]


async def test_a_blocked_member_is_out_at_once_and_comes_back_unharmed(people: People) -> None:
    await invited(people, "kim")
    lee = await invited(people, "lee", MemberRole.VIEWER)
    _, token = await people.sessions.sign_in("lee", GOOD, None)
    link = await people.members.reset("lee", ROOT)
    blocked = await people.members.block("lee", actor=ROOT)
    assert blocked.blocked_at is not None
    assert await people.members.block("lee", actor=ROOT) == blocked
    assert await people.sessions.of(token) is None
    with pytest.raises(Unauthenticated):
        await people.sessions.sign_in("lee", GOOD, None)
    with pytest.raises(NotFound):
        await people.members.set_up(link.token, "lee", OTHER)
    with pytest.raises(NotPermitted, match="blocked"):
        await people.members.reset("lee", ROOT)
    assert (await people.members.block("lee", False, actor=ROOT)).id == lee.id
    assert await people.sessions.of(token) is None
    assert (await people.sessions.sign_in("lee", GOOD, None))[0].member.id == lee.id
    done = [action for action, target, _ in await actions(people) if target == "member:lee"]
    assert done.count("members.block") == done.count("members.unblock") == 1


async def test_the_last_owner_stays(people: People) -> None:
    kim = await invited(people, "kim")
    waiting, _ = await people.members.invite("lee", MemberRole.OWNER, ROOT)
    for attempt in (
        people.members.give_role("kim", MemberRole.FINANCE, ROOT),
        people.members.block("kim", actor=Actor.of_member(kim)),
    ):
        with pytest.raises(LastOwner):
            await attempt
    # Who was invited and never came keeps nobody's place, and may be taken back.
    assert (await people.members.block(waiting.id, actor=ROOT)).blocked_at is not None
    assert (await people.members.find("kim")).role is MemberRole.OWNER


async def test_owners_who_take_each_others_role_at_once_leave_one(people: People) -> None:
    owners = [await invited(people, name) for name in ("kim", "lee", "park", "choi")]
    for _ in range(5):
        done = await asyncio.gather(
            *(
                people.members.give_role(other.id, MemberRole.VIEWER, Actor.of_member(owner))
                for owner, other in zip(owners, owners[1:] + owners[:1], strict=True)
            ),
            return_exceptions=True,
        )
        left = [member for member in await people.members.list() if member.role is MemberRole.OWNER]
        assert len(left) >= 1
        assert {type(each) for each in done} <= {Member, LastOwner, NotPermitted}
        for owner in owners:
            await people.members.give_role(owner.id, MemberRole.OWNER, ROOT)


async def test_only_owners_change_members(people: People) -> None:
    await invited(people, "kim")
    lee = Actor.of_member(await invited(people, "lee", MemberRole.FINANCE))
    for attempt in (
        people.members.invite("park", MemberRole.VIEWER, lee),
        people.members.give_role("lee", MemberRole.OWNER, lee),
        people.members.block("kim", actor=lee),
        people.members.reset("kim", lee),
    ):
        with pytest.raises(NotPermitted, match="owners"):
            await attempt
    assert [member.name for member in await people.members.list()] == ["kim", "lee"]


async def test_an_invitation_under_a_key_is_made_once_and_its_link_given_once(people: People) -> None:
    made, link = await people.members.invite_once("kim", MemberRole.FINANCE, ROOT, key="form-1")
    assert link is not None
    assert await people.members.invite_once("kim", MemberRole.FINANCE, ROOT, key="form-1") == (made, None)
    with pytest.raises(IdempotencyConflict):
        await people.members.invite_once("kim", MemberRole.OWNER, ROOT, key="form-1")
    assert (await people.members.set_up(link.token, "kim", GOOD)).id == made.id
    assert [action for action, *_ in await actions(people)] == ["members.invite", "members.set_password"]


async def test_an_invitation_that_is_refused_leaves_its_key_free(people: People) -> None:
    await people.members.invite("kim", MemberRole.VIEWER, ROOT)
    with pytest.raises(InvalidInput, match="already"):
        await people.members.invite_once("Kim", MemberRole.VIEWER, ROOT, key="form-1")
    _, link = await people.members.invite_once("lee", MemberRole.VIEWER, ROOT, key="form-1")
    assert link is not None


async def test_a_reset_under_a_key_leaves_the_link_good_that_it_gave(people: People) -> None:
    member = await invited(people, "kim")
    link = await people.members.reset_once(member.id, ROOT, key="form-2")
    assert link is not None
    assert await people.members.reset_once(member.id, ROOT, key="form-2") is None
    assert (await people.members.set_up(link.token, "", OTHER)).id == member.id
