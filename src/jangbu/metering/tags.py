"""What calls used by the values of a tag that the app gave them, or by the key that they came by, read from the calls
themselves, the latest first.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from jangbu.domain.amounts import NOTHING, Amounts
from jangbu.domain.keys import Key
from jangbu.domain.windows import Window
from jangbu.errors import InvalidInput
from jangbu.metering.snapshots import Filters, Snapshot
from jangbu.metering.stretches import Meant, Stretch, in_time, latest, walk
from jangbu.storage import api_keys, stretches
from jangbu.storage.database import Database, Reader
from jangbu.storage.series import Cut
from jangbu.storage.stretches import CallLine
from jangbu.storage.usage import first_id

__all__ = [
    "BY_KEY",
    "SIZE",
    "ByTag",
    "Listed",
    "by_tag",
    "by_tag_whole",
    "keys_by_id",
    "tag_names",
    "tagged",
]

BY_KEY = None
"""Stands for a tag's name where calls are told apart by their key: whatever an app names a tag, it is not this."""

_SECONDS = 5
"""How long calls are looked at for a page: from the latest on, as many as can be."""
VALUES_MAX = 10_000
"""How many values are told apart for a page; more are no parts of a cost but names of single calls."""
_VALUES_MAX_WHOLE = 100_000
SIZE = 4_000
"""How many calls are looked at at a time: few, since a look of a page is to be short among millions of them."""
_SIZE_OF_NAMES = 1_000
_NAMES_MAX = 100


@dataclass(frozen=True, slots=True)
class ByTag:
    """What calls used by the values of a tag, or the ids of keys, the dearest first; None stands for the calls without.

    ``cuts`` are what those of each value used in the buckets of the window, numbered from 0, in which it used any.
    ``is_whole`` tells whether all calls that are meant were looked at; where not, they are the latest ones, because
    time was over or, where ``has_too_many``, because of too many values.
    """

    name: str | None
    lines: tuple[tuple[str | None, Amounts], ...]
    buckets: int
    cuts: Mapping[str | None, Mapping[int, Amounts]]
    total: Amounts
    is_whole: bool
    has_too_many: bool = False

    def in_buckets(self, *values: str | None) -> tuple[Amounts, ...]:
        """Give what some values used together in each bucket of the window."""
        parts: list[list[Amounts]] = [[] for _ in range(self.buckets)]
        for value in values:
            for bucket, part in self.cuts[value].items():
                parts[bucket].append(part)
        return tuple(map(Amounts.sum, parts))


@dataclass(frozen=True, slots=True)
class Listed:
    """The latest calls that have a value of a tag. ``is_whole`` tells whether there was time to look for all."""

    calls: tuple[CallLine, ...]
    is_whole: bool


async def by_tag(
    meant: Meant, name: str | None, *, seconds: int | None = _SECONDS, values_max: int = VALUES_MAX
) -> ByTag:
    """Add up what is meant by the values of a tag, for so many seconds at most; None is for as long as it takes.

    Raises NotFound for a user without an account.
    """

    edges = [first_id(edge) for edge in meant.window.edges()]

    async def read(reader: Reader, stretch: Stretch) -> Sequence[Cut]:
        return await stretches.by_tag(reader, stretch, name, edges)

    cuts, is_whole, has_too_many = dict[str | None, dict[int, Amounts]](), True, False
    async with aclosing(in_time(walk(meant, read, SIZE), seconds)) as walked:
        async for page in walked:
            if page is None or has_too_many:
                is_whole = False
                break
            for cut in page:
                of_value = cuts.setdefault(cut.part, {})
                of_value[cut.bucket] = of_value.get(cut.bucket, NOTHING) + cut.amounts
            has_too_many = len(cuts) > values_max
    lines = [(value, Amounts.sum(of_value.values())) for value, of_value in cuts.items()]
    lines.sort(key=lambda line: (-line[1].cost_nano, -line[1].calls, line[0] is None, line[0] or ""))
    total = Amounts.sum(amounts for _, amounts in lines)
    return ByTag(name, tuple(lines), len(edges) - 1, cuts, total, is_whole, has_too_many)


async def by_tag_whole(meant: Meant, name: str | None) -> ByTag:
    """Add up all that is meant, however long that takes. Raises NotFound, and InvalidInput for too many values."""
    found = await by_tag(meant, name, seconds=None, values_max=_VALUES_MAX_WHOLE)
    if found.has_too_many:
        raise InvalidInput(
            f"there are more than {_VALUES_MAX_WHOLE:,} values", hint="choose a shorter period, or shorter buckets"
        )
    return found


async def tagged(meant: Meant, name: str | None, value: str, *, limit: int, seconds: int = _SECONDS) -> Listed:
    """Give the latest calls that have a value of a tag, looked for for so many seconds at most. Raises NotFound."""

    async def read(reader: Reader, stretch: Stretch) -> Sequence[CallLine]:
        return await stretches.tagged(reader, stretch, name, value, limit)

    calls, is_whole = list[CallLine](), True
    async with aclosing(in_time(walk(meant, read, SIZE), seconds)) as walked:
        async for page in walked:
            if page is None:
                is_whole = False
                break
            calls += page
            if len(calls) >= limit:
                break
    return Listed(tuple(calls[:limit]), is_whole)


async def tag_names(look: Snapshot, window: Window, user: str | None = None) -> Sequence[str]:
    """Give the names of the tags of the latest calls, about a thousand of them, to choose from. Raises NotFound.

    They are of all models and services: the calls of a seldom one lie far apart.
    """
    found = await latest(look, window, Filters(user), stretches.tag_names, _SIZE_OF_NAMES)
    return sorted({name for names in found for name in names})[:_NAMES_MAX]


async def keys_by_id(database: Database, project: str, values: Iterable[str | None]) -> Mapping[str, Key]:
    """Give the keys whose ids calls are told apart by, revoked ones too; what is no id of a key has none."""
    ids = [found for found in map(_id_of, values) if found is not None]
    return {str(key.id): key for key in await api_keys.gathered(database, project, ids)} if ids else {}


def _id_of(value: str | None) -> UUID | None:
    try:
        return None if value is None else UUID(value)
    except ValueError:
        return None
