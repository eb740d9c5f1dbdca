"""``prices``: the book in force, its versions, and how it is changed; nothing that was recorded is priced anew."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jangbu.cli.commands import command, group
from jangbu.cli.money import counted
from jangbu.cli.output import shown_moment, write_data
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import file_bytes, moment, parts_per_million, utf_8, whole_number
from jangbu.errors import InvalidInput
from jangbu.metering.facts import price_change_facts

if TYPE_CHECKING:
    from jangbu.domain.price_book import Price, PriceBook
    from jangbu.prices import Change

__all__ = ["register"]

BookFile = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE]",
        help="A price book, or - for standard input; without one, the shipped book.",
        show_default=False,
    ),
]
FromGenaiPrices = Annotated[
    bool, typer.Option("--genai-prices", help="Read the installed genai-prices instead of a file.")
]
Note = Annotated[str | None, typer.Option(metavar="N", help="Why, for the list of versions.", show_default=False)]

prices = group("prices", "Show, compare and change the prices that calls cost.")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.add_typer(prices)


@command(prices, "list")
async def list_prices(
    session: Session,
    model: Annotated[str | None, typer.Option(metavar="M", help="Only this model's.", show_default=False)] = None,
    version: Annotated[
        str | None, typer.Option(metavar="V", help="The book of this version.", show_default="in force")
    ] = None,
) -> None:
    """List the rows of the price book: dollars for a million tokens, unless a row says otherwise."""
    wanted = None if version is None else whole_number(version, "version", least=1, most=2**31 - 1)
    async with session.ledger() as metering:
        edition = metering.pricing.in_force if wanted is None else await metering.pricing.edition(wanted)
    rows = [row for row in edition.book.rows if model is None or row.model == model]
    facts: dict[str, Any] = {
        "version": edition.version,
        "markup_parts_per_million": edition.terms.markup_parts_per_million,
        "prices": [row.to_row() for row in rows],
    }
    session.show(
        facts,
        lambda: (
            table(_COLUMNS, [_cells(row) for row in rows], empty="no such price") + f"\n(version {edition.version})"
        ),
    )


@command(prices, "versions")
async def versions(
    session: Session, limit: Annotated[str, typer.Option(metavar="N", help="How many at most.")] = "100"
) -> None:
    """List the books that were ever in force, newest first."""
    most = whole_number(limit, "limit", least=1, most=100_000)
    async with session.ledger() as metering:
        found = await metering.pricing.history(most)
    session.show(
        {
            "versions": [
                {"version": each.version, "note": each.note, "created_at": each.created_at, "digest": each.digest.hex()}
                for each in found
            ]
        },
        lambda: table(
            ("version>", "since", "note"),
            [(str(each.version), shown_moment(each.created_at), each.note) for each in found],
        ),
    )


@command(prices, "import")
async def import_book(
    session: Session,
    file: BookFile = None,
    *,
    genai_prices: FromGenaiPrices = False,
    note: Note = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
) -> None:
    """Grow the book by what a price book knows, from now on; own prices and the mark-up stay.

    What would change is shown first. Without --yes it asks, and writes nothing where nobody can answer.
    """
    book, name = _book(file, genai_prices)
    async with session.ledger() as metering:
        from jangbu.metering.price_changes import changes_of, grown

        make = grown(book, metering.clock.now())
        changes = changes_of(await metering.pricing.preview(make))
        if changes and not session.as_json:
            write_data(_changes_table(changes))
        if changes and not yes and not session.agrees(f"Put {counted(len(changes), 'change')} in force?"):
            raise InvalidInput(f"{counted(len(changes), 'change')} not written", hint="give --yes to write them")
        changed = await metering.pricing.change(make, note or f"imported from {name}")
    _show_version(session, changed.version, changed.is_new)


@command(prices, "diff")
async def diff(session: Session, file: BookFile = None, genai_prices: FromGenaiPrices = False) -> None:
    """Show where a price book differs from the one in force; nothing is changed."""
    other, _ = _book(file, genai_prices)
    async with session.ledger() as metering:
        from jangbu.metering.price_changes import differences

        edition = metering.pricing.in_force
        changes = differences(edition.base, other)
    session.show(
        {"version": edition.version, "changes": [price_change_facts(each) for each in changes]},
        lambda: _changes_table(changes),
    )


@command(prices, "markup")
async def set_markup(
    session: Session,
    percent: Annotated[str, typer.Argument(metavar="PERCENT", help="What users pay on top: 20, 12.5, or -10.")],
    note: Note = None,
) -> None:
    """Set what users are charged on top of what calls cost, from now on."""
    parts = parts_per_million(percent)
    async with session.ledger() as metering:
        from jangbu.metering.price_changes import marked_up

        changed = await metering.pricing.change(marked_up(parts), note or f"a mark-up of {percent}%")
    _show_version(session, changed.version, changed.is_new)


@command(prices, "set")
async def set_price(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name, or a beginning and a final *.")],
    meter: Annotated[str, typer.Argument(metavar="METER", help="What is paid for: input, output, cached_input, ...")],
    usd: Annotated[str, typer.Argument(metavar="USD", help="For a million tokens (for one image or second).")],
    *,
    source: Annotated[str, typer.Option(metavar="S", help="Where this price is published or agreed.")],
    modality: Annotated[str, typer.Option(metavar="M", help="any, text, image, audio, video or document.")] = "any",
    tier: Annotated[str, typer.Option(metavar="T", help="The class of service.")] = "standard",
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="Valid from then on.", show_default="always")
    ] = None,
    note: Note = None,
) -> None:
    """Set an own price, which wins over the book's from now on."""
    row = _row(model, meter, usd, source, modality=modality, tier=tier, since=since, note=note)
    async with session.ledger() as metering:
        from jangbu.metering.price_changes import with_own

        make = with_own(row, now=metering.clock.now())
        changed = await metering.pricing.change(make, note or f"{meter} of {model} at {usd} USD")
    _show_version(session, changed.version, changed.is_new)


@command(prices, "unset")
async def unset_price(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name, or a beginning and a final *.")],
    meter: Annotated[str, typer.Argument(metavar="METER", help="What is paid for: input, output, cached_input, ...")],
    *,
    modality: Annotated[str, typer.Option(metavar="M", help="any, text, image, audio, video or document.")] = "any",
    tier: Annotated[str, typer.Option(metavar="T", help="The class of service.")] = "standard",
    platform: Annotated[str | None, typer.Option(metavar="P", help="gemini_api or vertex.", show_default="any")] = None,
    above: Annotated[str, typer.Option(metavar="N", help="For prompts of more tokens than that.")] = "0",
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="From when it is valid.", show_default="always")
    ] = None,
    note: Note = None,
) -> None:
    """Take an own price away, so that the book's holds again from now on; what was recorded keeps its price."""
    from jangbu.metering.price_changes import without_own

    row = _row(
        model, meter, "0", "taken away", modality=modality, tier=tier, since=since, platform=platform, above=above
    )
    async with session.ledger() as metering:
        changed = await metering.pricing.change(without_own(row), note or f"no own price for {meter} of {model}")
    _show_version(session, changed.version, changed.is_new)


@command(prices, "backfill")
async def backfill(session: Session) -> None:
    """Price the calls that had no price when they came in, as far as the book in force can."""
    async with session.ledger() as metering:
        done = await metering.pricing.backfill()
    session.show({"priced": done}, lambda: f"{counted(done, 'call')} priced")


def _book(file: str | None, genai_prices: bool) -> "tuple[PriceBook, str]":
    """Load a price book; give it with a name for people. Raises InvalidInput."""
    from jangbu.prices import importer, parsed, shipped

    if file is not None and genai_prices:
        raise InvalidInput("two price books are named", hint="give a file or --genai-prices")
    if genai_prices:
        return importer.read(), "genai-prices"
    if file is None:
        return shipped(), "the shipped book"
    name = "standard input" if file == "-" else Path(file).name
    try:
        text = utf_8(file_bytes(file)).decode()
    except ValueError as error:
        raise InvalidInput(f"{name}: no UTF-8: {error}") from None
    return parsed(text, name, rows_most=sys.maxsize), name


def _changes_table(changes: "Sequence[Change]") -> str:
    sides = [
        (side, row) for each in changes for side, row in (("-", each.before), ("+", each.after)) if row is not None
    ]
    return table(("", *_COLUMNS), [(side, *_cells(row)) for side, row in sides], empty="no difference")


def _row(
    model: str,
    meter: str,
    usd: str,
    source: str,
    *,
    modality: str,
    tier: str,
    since: str | None,
    note: str | None = None,
    platform: str | None = None,
    above: str = "0",
) -> "Price":
    """Give a row of a price book. Raises InvalidInput."""
    from jangbu.domain.price_book import TOKEN_UNIT_SIZE, UNIT_SIZES, Meter, Price
    from jangbu.prices.files import to_nano

    if meter not in list(Meter):
        raise InvalidInput(f"{meter[:40]!r} is no meter", hint=f"one of {', '.join(Meter)}")
    try:
        price_nano = to_nano(usd)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    return Price.from_row(
        {
            "model": model,
            "meter": meter,
            "price_nano": price_nano,
            "source": source,
            "modality": modality,
            "unit_size": UNIT_SIZES.get(Meter(meter), TOKEN_UNIT_SIZE),
            "tier": tier,
            "platform": platform,
            "above_prompt_tokens": whole_number(above, "the number of tokens", least=0, most=10**9),
            "valid_from": None if since is None else moment(since, "the date"),
            "note": note or "",
        }
    )


def _show_version(session: Session, version: int, is_new: bool) -> None:
    said = "in force" if is_new else "in force already, nothing changed"
    session.show({"version": version, "is_new": is_new}, lambda: f"price version {version} is {said}")


_COLUMNS = ("model", "meter", "modality", "tier", "platform", "above>", "USD>", "for>", "from", "until")


def _cells(row: "Price") -> tuple[str, ...]:
    from jangbu.prices.files import to_usd

    return (
        row.model,
        row.meter.value,
        row.modality.value,
        row.tier.value,
        row.platform.value if row.platform else "any",
        f"{row.above_prompt_tokens:,}" if row.above_prompt_tokens else "",
        to_usd(row.price_nano),
        f"{row.unit_size:,}",
        "" if row.valid_from is None else f"{row.valid_from:%Y-%m-%d}",
        "" if row.valid_to is None else f"{row.valid_to:%Y-%m-%d}",
    )
