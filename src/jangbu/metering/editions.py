"""Price books with a project's terms, as they are stored under their versions, and what an answer costs by one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jangbu.domain.pricing import Cost, Price, PriceBook, Terms, charge, cost
from jangbu.domain.usage import Usage
from jangbu.metering.content import canonical
from jangbu.storage.prices import PriceVersion

__all__ = ["Edition", "Priced", "edition_facts", "edition_text", "priced_by", "read_edition"]


@dataclass(frozen=True, slots=True)
class Edition:
    """A price book with the project's terms, as it is stored under a version."""

    version: int
    base: PriceBook
    terms: Terms
    book: PriceBook
    """The base with the project's own prices laid over it: what calls are priced by."""
    since: datetime | None = None
    """When it was put in force, None where it was not."""
    note: str = ""

    def is_like(self, other: "Edition") -> bool:
        """Tell whether two editions price calls by the same rows, in the same order, on the same terms."""
        return (self.base.rows, self.terms) == (other.base.rows, other.terms)

    def cost(self, usage: Usage, model: str, at: datetime) -> Cost:
        """Price an answer; ``model`` stands in where the answer names none."""
        if usage.model is None:
            members = tuple(member if member.model else replace(member, model=model) for member in usage.members)
            usage = replace(usage, model=model, members=members)
        return cost(self.book, usage, at)


@dataclass(frozen=True, slots=True)
class Priced:
    """What an answer costs, in nano-USD; None where no price is known."""

    cost_nano: int | None
    input_cost_nano: int | None
    charge_nano: int | None
    version: int | None


def read_edition(found: PriceVersion) -> Edition:
    """Read an edition as it is stored."""
    kept = json.loads(found.book)
    terms = Terms(
        kept["terms"]["markup_parts_per_million"], tuple(Price.from_row(row) for row in kept["terms"]["overrides"])
    )
    base = PriceBook.from_rows(kept["rows"], found.version)
    return Edition(found.version, base, terms, terms.book(base), found.created_at, found.note)


def edition_text(base: PriceBook, terms: Terms) -> str:
    """Write a book and terms as they are stored."""
    kept: dict[str, Any] = {
        "markup_parts_per_million": terms.markup_parts_per_million,
        "overrides": [price.to_row() for price in terms.overrides],
    }
    return canonical({"rows": base.to_rows(), "terms": kept})


def edition_facts(version: int, base: PriceBook, terms: Terms) -> Mapping[str, int]:
    """Say in short what was in force, for the audit; who wants more compares the versions, which stay."""
    return {
        "version": version,
        "rows": len(base.rows),
        "own_prices": len(terms.overrides),
        "markup_parts_per_million": terms.markup_parts_per_million,
    }


def priced_by(edition: Edition, found: Cost) -> Priced:
    """Give what a cost by an edition comes to, with what the project makes of it."""
    version = None if found.amount_nano is None else edition.version
    return Priced(found.amount_nano, found.input_nano, charge(found, edition.terms), version)
