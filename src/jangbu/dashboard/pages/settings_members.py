"""Members: who may sign in, and as what. Owners invite them, give them roles, keep them out and let them in again."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from jangbu.dashboard.done import actor_of, key_of, new_key
from jangbu.dashboard.fields import Wrong, chosen_of, id_of, name_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import OWNERS, Action, Answered, Page
from jangbu.domain.members import Member, MemberRole
from jangbu.errors import InvalidInput
from jangbu.metering.members import SetUpLink

__all__ = ["PAGE"]

_SHOWN = 50
_NAME_LENGTH_MAX = 200


async def show(look: Look) -> Mapping[str, Any]:
    """Read a page of members."""
    after = look.asked("after") or ""
    if len(after) > _NAME_LENGTH_MAX or "\x00" in after:
        raise Wrong("id", text=after[:40])
    found = await look.ledger.members.list(after, _SHOWN + 1)
    return {
        "members": found[:_SHOWN],
        "next": found[_SHOWN - 1].name if len(found) > _SHOWN else None,
        "roles": [role.value for role in MemberRole],
        "form_key": new_key(look),
    }


async def invite(look: Look) -> Answered:
    """Make a member, and show the link by which they choose a password."""
    name, role = name_of(look), _role(look)
    key = key_of(look)
    try:
        made = await look.ledger.members.invite_once(name, role, actor_of(look), key=key)
    except InvalidInput:
        raise Wrong("taken", member=name) from None
    return _linked(look, *made)


async def reset(look: Look) -> Answered:
    """Show another link, by which a member chooses another password."""
    member = await look.ledger.members.find(_id(look))
    return _linked(look, member, await look.ledger.members.reset_once(member.id, actor_of(look), key=key_of(look)))


async def give_role(look: Look) -> str:
    """Give a member another role, which they have at once."""
    member = await look.ledger.members.give_role(_id(look), _role(look), actor_of(look))
    is_shown = member.id != look.session.member.id or member.role is MemberRole.OWNER
    return look.url("/settings/members" if is_shown else "/settings", notice="role_given")


async def block(look: Look) -> str:
    """Keep a member out, and end their sessions."""
    await look.ledger.members.block(_id(look), actor=actor_of(look))
    return look.url("/settings/members", notice="member_blocked")


async def unblock(look: Look) -> str:
    """Let a member in again."""
    await look.ledger.members.block(_id(look), False, actor=actor_of(look))
    return look.url("/settings/members", notice="member_unblocked")


async def end_sessions(look: Look) -> str:
    """Sign a member out everywhere; they may sign in again."""
    await look.ledger.members.end_sessions(_id(look), actor_of(look))
    return look.url("/settings/members", notice="member_signed_out")


def _linked(look: Look, member: Member, link: SetUpLink | None) -> Answered:
    """Show a link on the page that answers: nowhere else, and never again."""
    values = {
        "member": member,
        "link": None if link is None else look.origin + link.path,
        "ends_at": None if link is None else link.expires_at,
    }
    return Answered("settings_member_link.html", values)


def _id(look: Look) -> UUID:
    return id_of(look.form.get("member"))


def _role(look: Look) -> MemberRole:
    role = chosen_of(MemberRole, look.form.get("role", ""))
    assert role is not None, "an empty name is none of a role's"
    return role


PAGE = Page(
    "/settings/members",
    "settings_members",
    OWNERS,
    show,
    {
        "invite": Action(invite, OWNERS),
        "reset": Action(reset, OWNERS),
        "role": Action(give_role, OWNERS),
        "block": Action(block, OWNERS),
        "unblock": Action(unblock, OWNERS),
        "end-sessions": Action(end_sessions, OWNERS),
    },
    in_menu=False,
)
