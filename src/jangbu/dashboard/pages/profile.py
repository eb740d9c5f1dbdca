"""A member's own page: their password, and where they are signed in. Nobody sees another member's here."""

from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.done import actor_of
from jangbu.dashboard.fields import Wrong, id_of
from jangbu.dashboard.look import PREFIX, Look
from jangbu.dashboard.page import READERS, Action, Page
from jangbu.errors import Unauthenticated

__all__ = ["PAGE"]


async def show(look: Look) -> Mapping[str, Any]:
    """Read the sessions of who looks."""
    return {"sessions": await look.ledger.sessions.list(look.session.member)}


async def change_password(look: Look) -> str:
    """Give who looks another password, which ends their other sessions."""
    present, chosen = look.form.get("present", ""), look.form.get("password", "")
    try:
        await look.ledger.sessions.change_password(look.session, present, chosen, look.address, actor_of(look))
    except Unauthenticated:
        raise Wrong("present") from None
    return look.url("/profile", notice="password_changed")


async def end(look: Look) -> str:
    """End one session of who looks."""
    session = id_of(look.form.get("session"))
    await look.ledger.sessions.end_one(look.session.member, session, actor_of(look))
    return look.url("/profile", notice="session_ended")


async def end_others(look: Look) -> str:
    """End all sessions of who looks but this one."""
    await look.ledger.sessions.end_all(look.session.member, actor_of(look), but=look.session.id)
    return look.url("/profile", notice="others_ended")


async def end_all(look: Look) -> str:
    """Sign who looks out everywhere."""
    await look.ledger.sessions.end_all(look.session.member, actor_of(look))
    return f"{PREFIX}/sign-in"


PAGE = Page(
    "/profile",
    "profile",
    READERS,
    show,
    {
        "change-password": Action(change_password, READERS),
        "end": Action(end, READERS),
        "end-others": Action(end_others, READERS),
        "end-all": Action(end_all, READERS),
    },
    in_menu=False,
)
