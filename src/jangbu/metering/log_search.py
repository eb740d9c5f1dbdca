"""A page of a user's calls: of a time, a service and a model, and by how they ended, by their tags and by their keys.
No index and no rollup knows of the last three, so for them calls are looked through step by step. Exports, which read
every call of their time, ask each whether it is meant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from jangbu.domain.keys import Key
from jangbu.domain.ledger import account_id
from jangbu.errors import InvalidInput
from jangbu.metering.logs import Ending, Logged, calls_of, stretch_of
from jangbu.metering.snapshots import ALL_TIME, Snapshot, Span
from jangbu.storage import api_keys, logs
from jangbu.storage.database import Row

__all__ = ["ANY_CALL", "KEYLESS", "STEP", "Found", "Sought", "Tag", "keys_offered", "sought"]

STEP = 20_000
"""How many calls are looked through for a page: a seldom one may lie behind millions of others."""
KEYLESS = "none"
"""What stands for the calls that came by no key where somebody writes a key's id."""
_KEYS_OFFERED = 100
_TAG_LENGTH_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag that a call bears, with any value where ``value`` is None."""

    name: str
    value: str | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a tag as the gateway's header writes it, ``name=value``, or its name alone. Raises InvalidInput."""
        _require_unicode(text, "tag")
        name, has_value, value = text.partition("=")
        if not name.strip() or len(text) > _TAG_LENGTH_MAX or "\x00" in text:
            raise InvalidInput(f"{text[:40]!r} is no tag", hint="write it like feature=writing, or the name alone")
        return cls(name.strip(), value.strip() if has_value else None)

    def has(self, value: str | None) -> bool:
        """Tell whether a call is meant that bears a value of it, None where it bears none."""
        return value is not None and self.value in {None, value}


@dataclass(frozen=True, slots=True)
class Sought:
    """Which calls are looked for: those that are all of what is given."""

    ending: Ending | None = None
    tag: Tag | None = None
    service: str | None = None
    model: str | None = None
    key: str | None = None
    """The id of the key that they came by; an empty text for those that came by none."""

    def __post_init__(self) -> None:
        for text, what in ((self.service, "service"), (self.model, "model")):
            if text is not None:
                _require_unicode(text, what)
            if text == "":
                raise InvalidInput(f"the {what} is empty", hint=f"name one, or leave {what} out for any")

    @property
    def is_unindexed(self) -> bool:
        """Whether it asks for what no index and no rollup knows of, so that calls are looked through for it."""
        return self.ending is not None or self.tag is not None or self.key is not None

    @property
    def values(self) -> tuple[str | None, ...]:
        """Give what the statement asks for."""
        tag = (None, None) if self.tag is None else (self.tag.name, self.tag.value)
        return (self.service, self.model, *tag, None if self.ending is None else self.ending.value, self.key)

    def means(self, call: Row, ending: Ending) -> bool:
        """Tell of a call that was read, with its value of the tag, whether it is looked for, as the statement does."""
        return (
            self.service in {None, call["service"]}
            and self.model in {None, call["model"]}
            and self.key in {None, call["key"]}
            and self.ending in {None, ending}
            and (self.tag is None or self.tag.has(call["tag_value"]))
        )


def _require_unicode(text: str, what: str) -> None:
    """Refuse bytes of a command line that are no text: no call bears them. Raises InvalidInput."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"the {what} {text[:40]!r} is no text in UTF-8") from None


ANY_CALL = Sought()


@dataclass(frozen=True, slots=True)
class Found:
    """A page of calls, newest first. ``next`` is before which call the next page goes on, None where there is none.

    A page may have few calls, or none, and a next one all the same: that looks through the older calls. ``is_whole``
    tells whether it has all that it was asked for, as many calls as it may have or all that are left.
    """

    calls: Sequence[Logged]
    next: UUID | None
    is_whole: bool


async def sought(
    book: Snapshot,
    user: str,
    what: Sought,
    *,
    span: Span = ALL_TIME,
    before: UUID | None = None,
    limit: int = 50,
    step: int = STEP,
) -> Found:
    """Give a page of a user's calls, from the one before ``before`` on. Raises NotFound.

    For what no index and no rollup knows of, ``step`` calls are looked through at most.
    """
    floor: UUID | None = None
    if what.is_unindexed:
        account = await book.account(user)
        first, last = stretch_of(span, before)
        floor = await logs.step(book.reader, account, first, last, step)
        rows = await logs.sought(book.reader, account, floor or first, last, limit + 1, what.values)
        found: Sequence[Logged] = [Logged.of(row) for row in rows]
    else:
        found = await calls_of(
            book, user, span=span, service=what.service, model=what.model, before=before, limit=limit + 1
        )
    calls = found[:limit]
    following = calls[-1].call.id if len(found) > limit else floor
    return Found(calls, following, is_whole=following is None or len(calls) == limit)


async def keys_offered(book: Snapshot, user: str, chosen: UUID | None = None) -> Sequence[Key]:
    """Give the keys to choose from by which a user's calls may have come: theirs and apps', the newest hundred of each,
    and the one that is chosen, whichever it is.
    """
    offered = await api_keys.offered(book.reader, book.project, account_id(book.project, user), _KEYS_OFFERED)
    if chosen is None or any(key.id == chosen for key in offered):
        return offered
    return (*offered, *await api_keys.gathered(book.reader, book.project, [chosen]))
