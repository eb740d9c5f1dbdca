"""Which calls of a user are looked for, as the address says: by how they ended and by a tag."""

from jangbu.dashboard.fields import Wrong, chosen_of
from jangbu.dashboard.look import Look
from jangbu.metering.log_search import Sought, Tag
from jangbu.metering.logs import Ending

__all__ = ["EVERY_CALL", "SEARCHES", "sought_of"]

SEARCHES = ("status", "tag")
EVERY_CALL: dict[str, None] = dict.fromkeys(SEARCHES)
"""What a link changes that leads to all calls of something."""
_TAG_LENGTH_MAX = 2_000


def sought_of(look: Look) -> Sought | None:
    """Give which calls are looked for, None where neither an ending nor a tag is chosen. Raises InvalidInput."""
    ending, tag = chosen_of(Ending, look.asked("status")), look.asked("tag")
    if ending is None and tag is None:
        return None
    return Sought(ending, None if tag is None else _tag(tag), look.asked("service"), look.asked("model"))


def _tag(text: str) -> Tag:
    tag = Tag.of(text)
    if not tag.name or len(text) > _TAG_LENGTH_MAX or "\x00" in text:
        raise Wrong("tag_form", text=text[:40])
    return tag
