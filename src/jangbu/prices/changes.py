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
    """Grow a book by what another knows: new rows as they are, changed prices from ``at`` on.

    Nothing is edited and nothing is taken away: what was charged yesterday can be computed again tomorrow. A row that
    only ends earlier shows in ``diff`` and is left to a person.
    """
    rows = list(old.rows)
    for change in diff(old, new):
        match change:
            case Change(ChangeKind.ADDED, _, Price() as after):
                rows.append(after)
            case Change(ChangeKind.CHANGED, Price() as before, Price() as after):
                moved = replace(after, valid_from=at)
                known = any(row.key[:-2] == moved.key[:-2] and _same(row, moved) for row in old.rows)
                if not _same(before, after) and not known:
                    rows.append(moved)
    return PriceBook(tuple(rows))


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
