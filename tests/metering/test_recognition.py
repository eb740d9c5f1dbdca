"""Who somebody is for whom a provider vouches: known, invited, admitted, or nobody."""

import asyncio
from typing import Any

import pytest

from jangbu.domain.members import Admission, Identity, MemberRole, Session, Vouched
from jangbu.errors import NotPermitted, Unauthenticated
from jangbu.metering.people import People
from tests.metering.test_members import GOOD, ROOT, invited

ISSUER = "https://accounts.example"
NOBODY = Admission()
OURS = Admission(MemberRole.VIEWER, frozenset({"shop.example"}))


def vouched(email: str | None, subject: str = "1", role: MemberRole | None = None, issuer: str = ISSUER) -> Vouched:
    return Vouched(Identity(issuer, subject), email, role)


async def enter(people: People, who: Vouched, admission: Admission = NOBODY) -> Session:
    session, token = await people.sessions.sign_in_by(who, admission, "203.0.113.7")
    assert await people.sessions.of(token) == session
    return session


async def done(people: People, name: str) -> list[tuple[str, Any]]:
    return [(line.action, line.after) for line in reversed(await people.audit.page(target=f"member:{name}"))]


async def test_who_was_invited_comes_in_by_a_verified_address_and_is_known_ever_after(people: People) -> None:
    member, _ = await people.members.invite("Kim@Shop.example", MemberRole.FINANCE, ROOT)
    session = await enter(people, vouched("kim@shop.example"))
    assert (session.member.id, session.member.role) == (member.id, MemberRole.FINANCE)
    # The provider's name for somebody stays; the address may be another one, or be gone.
    assert (await enter(people, vouched("kim@elsewhere.example"))).member.id == member.id
    assert (await enter(people, vouched(None))).member.id == member.id
    assert [action for action, _ in await done(people, "Kim@Shop.example")] == [
        "members.invite",
        "members.identify",
        *["sessions.begin"] * 3,
    ]


async def test_an_address_that_was_given_to_somebody_else_lets_nobody_in(people: People) -> None:
    await people.members.invite("kim@shop.example", MemberRole.OWNER, ROOT)
    await enter(people, vouched("kim@shop.example", "1"))
    for other in (vouched("kim@shop.example", "2"), vouched("kim@shop.example", "1", issuer="https://other.example")):
        with pytest.raises(NotPermitted, match="somebody else"):
            await enter(people, other, OURS)


@pytest.mark.parametrize(
    ("who", "admission"),
    [
        (vouched("lee@shop.example"), NOBODY),
        (vouched("lee@evil.example"), OURS),
        (vouched("lee@sub.shop.example"), OURS),
        (vouched("lee@shop.example@evil.example"), OURS),
        (vouched(None), OURS),
        (vouched(None, role=MemberRole.OWNER), NOBODY),
        (vouched("lee@evil.example", role=MemberRole.OWNER), OURS),
        (vouched("lee@shop.example"), Admission(None, frozenset({"*"}))),
    ],
)
async def test_who_was_not_invited_and_is_not_admitted_stays_out(
    people: People, who: Vouched, admission: Admission
) -> None:
    with pytest.raises(NotPermitted, match="nobody invited you"):
        await enter(people, who, admission)
    assert await people.members.is_empty()


@pytest.mark.parametrize(
    ("who", "admission", "role"),
    [
        (vouched("Lee@SHOP.example"), OURS, MemberRole.VIEWER),
        (vouched("lee@shop.example", role=MemberRole.OWNER), OURS, MemberRole.OWNER),
        (vouched("lee@any.example"), Admission(MemberRole.DEVELOPER, frozenset({"*"})), MemberRole.DEVELOPER),
        (vouched("lee@any.example", role=MemberRole.FINANCE), NOBODY, MemberRole.FINANCE),
    ],
)
async def test_who_is_admitted_becomes_a_member(
    people: People, who: Vouched, admission: Admission, role: MemberRole
) -> None:
    session = await enter(people, who, admission)
    assert (session.member.name, session.member.role, session.member.has_password) == (who.email, role, False)
    assert (await enter(people, who, admission)).member.id == session.member.id
    (made, *_) = await done(people, session.member.name)
    assert made == ("members.join", {"role": role.value, "issuer": ISSUER, "subject": "1"})


async def test_the_role_that_the_provider_gives_holds_from_the_next_sign_in_on(people: People) -> None:
    await invited(people, "owner")
    await enter(people, vouched("lee@shop.example", role=MemberRole.DEVELOPER), OURS)
    assert (await enter(people, vouched("lee@shop.example", role=MemberRole.VIEWER))).member.role is MemberRole.VIEWER
    assert (await enter(people, vouched("lee@shop.example"))).member.role is MemberRole.VIEWER
    lines = await people.audit.page(target="member:lee@shop.example")
    (changed,) = [line for line in lines if line.action == "members.role"]
    assert (changed.actor.kind, changed.actor.name) == ("provider", ISSUER)
    assert (changed.before, changed.after) == ({"role": "developer"}, {"role": "viewer"})


async def test_the_last_owner_stays_one_whatever_the_provider_says(people: People) -> None:
    await enter(people, vouched("kim@shop.example", role=MemberRole.OWNER), OURS)
    assert (await enter(people, vouched("kim@shop.example", role=MemberRole.VIEWER))).member.role is MemberRole.OWNER


async def test_a_blocked_member_stays_out_whatever_the_provider_says(people: People) -> None:
    await invited(people, "owner")
    lee = await enter(people, vouched("lee@shop.example"), OURS)
    await people.members.block(lee.member.id, actor=ROOT)
    for role in (None, MemberRole.OWNER):
        with pytest.raises(Unauthenticated):
            await enter(people, vouched("lee@shop.example", role=role), OURS)


async def test_who_comes_in_several_times_at_once_is_one_member(people: People) -> None:
    who = vouched("lee@shop.example")
    came = await asyncio.gather(
        *(people.sessions.sign_in_by(who, OURS, None) for _ in range(6)), return_exceptions=True
    )
    assert len({each[0].member.id for each in came if isinstance(each, tuple)}) == 1
    assert len(await people.members.list()) == 1


async def test_a_member_with_a_password_may_come_in_either_way(people: People) -> None:
    await invited(people, "kim@shop.example")
    by_word = await enter(people, vouched("kim@shop.example"))
    by_password, _ = await people.sessions.sign_in("kim@shop.example", GOOD, None)
    assert by_word.member.id == by_password.member.id
    assert by_password.member.identity == Identity(ISSUER, "1")
