"""Which calls of a user are looked for, as the address says: by how they ended, by a tag and by a key."""

from uuid import UUID

from jangbu.dashboard.fields import Wrong, chosen_of, id_of
from jangbu.dashboard.look import Look
from jangbu.errors import InvalidInput
from jangbu.metering.log_search import KEYLESS, Sought, Tag
from jangbu.metering.logs import Ending

__all__ = ["EVERY_CALL", "SEARCHES", "key_sought", "sought_of"]

SEARCHES = ("status", "tag", "key")
EVERY_CALL: dict[str, None] = dict.fromkeys(SEARCHES)
"""What a link changes that leads to all calls of something."""


def sought_of(look: Look) -> Sought:
    """Give which calls are looked for: all of what is chosen. Raises InvalidInput."""
    ending, tag = chosen_of(Ending, look.asked("status")), look.asked("tag")
    return Sought(ending, None if tag is None else _tag(tag), look.asked("service"), look.asked("model"), _key(look))


def key_sought(look: Look) -> UUID | None:
    """Give the key that is chosen, None where none is or the calls without one. Raises InvalidInput."""
    key = look.asked("key")
    return None if key in {None, KEYLESS} else id_of(key)


def _key(look: Look) -> str | None:
    return "" if look.asked("key") == KEYLESS else None if (key := key_sought(look)) is None else str(key)


def _tag(text: str) -> Tag:
    try:
        return Tag.of(text)
    except InvalidInput:
        raise Wrong("tag_form", text=text[:40]) from None
