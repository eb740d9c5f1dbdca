"""What differs between two price books, and how a book grows by what another knows."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from jangbu.domain.price_book import Price, PriceBook


class ChangeKind(StrEnum):
    """How one row of two books compares."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Change:
    """One row in the old book and in the new; None where a book lacks it."""

    kind: ChangeKind
    before: Price | None
    after: Price | None

    @property
    def row(self) -> Price:
        """The row that names the model and the meter: the new one, or the one that is gone."""
        row = self.after or self.before
        assert row is not None, "a change has a row on one side"
        return row

    def __str__(self) -> str:
        """Give the change as one line."""
        row = self.row
        day = f" from {row.valid_from:%Y-%m-%d}" if row.valid_from else ""
        band = f" above {row.above_prompt_tokens:,}" if row.above_prompt_tokens else ""
        prices = " -> ".join(f"{each.price_nano:,}" for each in (self.before, self.after) if each is not None)
        return f"{self.kind} {row.model} {row.meter}.{row.modality} {row.tier}{band}{day}: {prices} nano-USD"


def diff(old: PriceBook, new: PriceBook) -> tuple[Change, ...]:
    """Compare row by row, by model and meter; unchanged rows are listed too."""
    before, after = _last(old.rows), _last(new.rows)
    changes = [_compared(before.get(key), after.get(key)) for key in before | after]
    return tuple(sorted(changes, key=lambda change: (change.row.model, change.row.meter, change.row.tier)))


def append(old: PriceBook, new: PriceBook, at: datetime) -> PriceBook:
    """Grow a book by what another knows: new rows as they are, and what holds there at ``at`` holds here from then on.

    Nothing is edited and nothing is taken away: what was charged yesterday can be computed again tomorrow. A price that
    begins later begins when the other book says. A row that only ends earlier is left to a person, who sees it in
    ``diff``.
    """
    rows, held, wanted = list(old.rows), _held(old.rows, at), _held(new.rows, at)
    for change in diff(old, new):
        after = change.after
        if after is None:
            continue
        begins_later = after.valid_from is not None and after.valid_from > at
        if change.before is None or (begins_later and _says_more(change.before, after)):
            rows.append(after)
        if wanted.get(_kind(after)) is not after:
            continue
        now = held.get(_kind(after)) if change.before is not None else _winner(held.get(_kind(after)), after)
        if now is None or _says_more(now, after):
            rows.append(replace(after, valid_from=at))
    return PriceBook(tuple(rows))


def _held(rows: Iterable[Price], at: datetime) -> dict[tuple[object, ...], Price]:
    """Give the row that holds at a moment for each kind of use."""
    found: dict[tuple[object, ...], Price] = {}
    for row in rows:
        if (row.valid_from is None or row.valid_from <= at) and (row.valid_to is None or at < row.valid_to):
            found[_kind(row)] = _winner(found.get(_kind(row)), row)
    return found


def _kind(row: Price) -> tuple[object, ...]:
    """Give what a row prices, whenever it begins."""
    return (*row.key[:-2], row.priority)


def _winner(earlier: Price | None, later: Price) -> Price:
    """Give the one of two rows of a kind that counts where both hold; the second stands later in its book."""
    if earlier is None or later.valid_from == earlier.valid_from or earlier.valid_from is None:
        return later
    return later if later.valid_from is not None and later.valid_from > earlier.valid_from else earlier


def _says_more(known: Price, row: Price) -> bool:
    """Tell whether a row has another price than the one that is known, or holds for longer."""
    if not _same(known, row):
        return True
    return known.valid_to is not None and (row.valid_to is None or row.valid_to > known.valid_to)


def _last(rows: Iterable[Price]) -> dict[tuple[object, ...], Price]:
    return {row.key: row for row in rows}


def _compared(before: Price | None, after: Price | None) -> Change:
    if before is None:
        return Change(ChangeKind.ADDED, None, after)
    if after is None:
        return Change(ChangeKind.REMOVED, before, None)
    same = _same(before, after) and before.valid_to == after.valid_to
    return Change(ChangeKind.UNCHANGED if same else ChangeKind.CHANGED, before, after)


def _same(one: Price, other: Price) -> bool:
    return (one.price_nano, one.unit_size) == (other.price_nano, other.unit_size)
