"""The ways in which a project's prices change: the book grows, an own price is set or goes, a mark-up is charged."""

from datetime import datetime

from jangbu.domain.price_book import Price, PriceBook
from jangbu.domain.price_bounds import bounded
from jangbu.domain.pricing import Terms
from jangbu.errors import NotFound
from jangbu.metering.editions import Edition
from jangbu.metering.pricing import Changed, Make
from jangbu.prices import Change, ChangeKind, append, diff

__all__ = ["changes_of", "differences", "grown", "marked_up", "own_rows", "with_own", "without_own"]


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


def with_own(row: Price) -> Make:
    """Let an own price win over the book's; it takes the place of an own price for the same. Raises InvalidInput."""
    bounded(row)

    def make(edition: Edition) -> tuple[PriceBook, Terms]:
        kept = [each for each in edition.terms.overrides if each.key != row.key]
        return edition.base, Terms(edition.terms.markup_parts_per_million, (*kept, row))

    return make


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
