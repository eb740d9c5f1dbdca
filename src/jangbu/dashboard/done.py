"""What is done by a form: in the member's name, once however often it is sent, and written down with its change."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from jangbu.api.requests import current_id
from jangbu.clock import new_id
from jangbu.dashboard.fields import Wrong
from jangbu.dashboard.look import Look
from jangbu.domain.members import Actor
from jangbu.metering.audit import Change

__all__ = ["actor_of", "done", "key_of", "new_key"]

Result = TypeVar("Result")

_KEY_LENGTH_MAX = 100


async def done(
    look: Look,
    action: str,
    target: str,
    act: Callable[[], Awaitable[Result]],
    after: Callable[[Result], Mapping[str, Any] | None] | None = None,
) -> Result:
    """Do something and write it down, both or neither. ``after`` says what came of it, None where nothing did."""
    return await look.ledger.audit.done(actor_of(look), Change(action, target), act, after)


def actor_of(look: Look) -> Actor:
    """Give who acts."""
    return Actor.of_member(look.session.member, current_id())


def new_key(look: Look) -> str:
    """Give a key for the forms of a page."""
    return str(new_id(look.ledger.clock))


def key_of(look: Look) -> str:
    """Give the key that a form was made with: sent twice, it is done once. Raises InvalidInput."""
    key = look.form.get("key", "")
    if not (0 < len(key) <= _KEY_LENGTH_MAX and key.isprintable()):
        raise Wrong("form")
    return f"dashboard:{key}"
