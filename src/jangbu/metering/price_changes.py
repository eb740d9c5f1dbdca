"""The ways in which a project's prices change: the book grows, an own price is set or goes, a mark-up is charged."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from jangbu.domain.price_book import Price, PriceBook
from jangbu.domain.price_bounds import bounded
from jangbu.domain.pricing import Terms
from jangbu.domain.windows import LAST
from jangbu.errors import InvalidInput, NotFound
from jangbu.metering.editions import Edition
from jangbu.metering.pricing import Changed, Make
from jangbu.prices import Change, ChangeKind, append, diff

__all__ = ["OwnHasBegun", "changes_of", "differences", "grown", "marked_up", "own_rows", "with_own", "without_own"]


class OwnHasBegun(InvalidInput):
    """An own price that always holds would be outdone by another own one for the same, which has begun at ``since``."""

    def __init__(self, row: Price, since: datetime) -> None:
        super().__init__(
            f"the own price for {row.meter} of {row.model} from {since:%Y-%m-%dT%H:%M:%SZ} on would win"
            " over one that always holds",
            hint="say from when on the new one holds, or take the other one away first",
        )
        self.since = since


def grown(book: PriceBook, at: datetime) -> Make:
    """Grow the book by what another knows, changed prices from ``at`` on; own prices and the mark-up stay."""

    def make(edition: Edition) -> tuple[PriceBook, Terms]:
        return append(edition.base, book, at), edition.terms

    return make


def marked_up(parts_per_million: int) -> Make:
    """Charge users so much on top of what calls cost."""

    def make(edition: Edition) -> tuple[PriceBook, Terms]:
        return edition.base, Terms(parts_per_million, edition.terms.overrides)

    return make


def with_own(row: Price, *, now: datetime | None = None) -> Make:
    """Let an own price win over the book's; it takes the place of an own price for the same. Raises InvalidInput.

    With ``now`` also OwnHasBegun where a price that says no beginning would not hold then, because another own one has
    begun: whoever sets it means it from now on, and would be told that it is in force.
    """
    bounded(row)

    def make(edition: Edition) -> tuple[PriceBook, Terms]:
        kept = [each for each in edition.terms.overrides if each.key != row.key]
        if now is not None and row.valid_from is None:
            _require_first(row, kept, now)
        return edition.base, Terms(edition.terms.markup_parts_per_million, (*kept, row))

    return make


def _require_first(row: Price, own: Iterable[Price], now: datetime) -> None:
    for each in own:
        since = each.valid_from
        has_begun = since is not None and since <= now < (each.valid_to or LAST)
        if since is not None and has_begun and replace(each, valid_from=None).key == row.key:
            raise OwnHasBegun(row, since)


def without_own(row: Price) -> Make:
    """Take away the own price for what a row prices, so that the book's holds for it again; the row's price is not
    looked at. Raises NotFound where there is no own price for it.
    """

    def make(edition: Edition) -> tuple[PriceBook, Terms]:
        kept = tuple(each for each in edition.terms.overrides if each.key != row.key)
        if len(kept) == len(edition.terms.overrides):
            raise NotFound(f"there is no own price for {row.meter} of {row.model}", hint="see `jangbu prices list`")
        return edition.base, Terms(edition.terms.markup_parts_per_million, kept)

    return make


def own_rows(edition: Edition) -> frozenset[Price]:
    """Give the rows of an edition's whole book that are the project's own, whatever priority other rows have."""
    return frozenset(PriceBook().with_overrides(edition.terms.overrides).rows)


def differences(old: PriceBook, new: PriceBook) -> list[Change]:
    """Compare two books; rows that are the same in both are left out."""
    return [each for each in diff(old, new) if each.kind is not ChangeKind.UNCHANGED]


def changes_of(changed: Changed) -> list[Change]:
    """Give the rows of the book that a change adds."""
    return differences(changed.before, changed.after)
