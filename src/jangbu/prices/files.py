"""Price files: JSON that people review, with prices as decimal strings in USD.

    {"entries": [
        {"models": ["gemini-2.5-flash"], "tier": "batch", "from": "2026-10-14", "source": "where it was read",
         "usd": {"input": "0.15", "input.audio": "0.5", "output": "1.25"}},
        {"models": ["gemini-2.5-flash-001"], "same_as": "gemini-2.5-flash", "source": "why the two are one"}]}

``usd`` names a meter, or a meter and a modality, and is for a million tokens (or token-hours), a thousand grounding or
maps queries, one image or one second of video. Also: ``platform``, ``above_prompt_tokens``, ``to``, ``priority``,
``note``. A date begins at midnight UTC; Google states days without a zone. Files only grow: a price that changes gets a
new entry with a later ``from``.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

from jangbu.domain.price_book import TOKEN_UNIT_SIZE, UNIT_SIZES, Meter, Modality, Price, PriceBook
from jangbu.domain.price_bounds import MODEL_LENGTH_MAX, TEXT_LENGTH_MAX, bounded, legible
from jangbu.domain.usage import Platform, Tier
from jangbu.errors import InvalidInput

GOOGLE = Path(__file__).with_name("google.json")
"""What genai-prices lists, as ``jangbu.prices.importer`` wrote it."""
OVERLAY = Path(__file__).with_name("overlay.json")
"""What genai-prices lacks, gathered by hand, each entry with its source."""
GUIDE = Path(__file__).with_name("guide.json")
"""The two prices of the guide that Jangbu implements, as an example of a book of one's own."""

NANO = 10**9

_Priced = Mapping[str, list[Price]]
"""The rows that there are so far, by model."""

_ORIGIN_MAX = 2_000
"""How long the source of a price is together with those of the prices that it is the same as, one after another."""

_USD = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,9}))?")
_NAMED = 60
"""How much of a model's name a message says."""
_KEYS = frozenset(
    {
        "models",
        "same_as",
        "usd",
        "tier",
        "platform",
        "above_prompt_tokens",
        "from",
        "to",
        "priority",
        "source",
        "note",
    }
)


@cache
def shipped() -> PriceBook:
    """Give the book that comes with Jangbu: genai-prices, and what Jangbu adds to it."""
    return _book((GOOGLE, OVERLAY))


def load(path: Path) -> PriceBook:
    """Read a price file. Raises InvalidInput with the file and the entry."""
    return _book((path,))


def parsed(text: str, name: str, *, rows_most: int) -> PriceBook:
    """Read the text of a price file that ``name`` stands for. Raises InvalidInput with the entry, and for more rows."""
    return read(_entries(text, name), name, rows_most=rows_most)


def read(entries: Iterable[Any], name: str, *, rows_most: int) -> PriceBook:
    """Read the entries of a price file that ``name`` stands for. Raises InvalidInput for more rows than that, too."""
    rows: list[Price] = []
    _add(rows, entries, name, rows_most)
    return PriceBook(tuple(rows))


def write(path: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write entries as a price file, one line each, so that a review shows what changed."""
    lines = ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in entries)
    path.write_text('{"entries": [\n' + lines + "\n]}\n", encoding="utf-8")


def to_nano(usd: object) -> int:
    """Read a decimal string of USD as whole nano-USD, exactly. Raises ValueError."""
    found = _USD.fullmatch(usd) if isinstance(usd, str) else None
    if found is None:
        raise ValueError(f"{usd!r} is no price: write USD as a string like '0.075', with at most nine decimals")
    return int(found[1]) * NANO + int((found[2] or "").ljust(9, "0"))


def to_usd(nano: int) -> str:
    """Write whole nano-USD as a decimal string of USD, exactly."""
    whole, part = divmod(nano, NANO)
    return f"{whole}.{part:09}".rstrip("0").rstrip(".")


def _book(paths: Iterable[Path]) -> PriceBook:
    rows: list[Price] = []
    for path in paths:
        _add(rows, _entries(_text(path), path.name), path.name)
    return PriceBook(tuple(rows))


def _add(rows: list[Price], entries: Iterable[Any], name: str, rows_most: int = sys.maxsize) -> None:
    """Add the rows of a file's entries, which may refer to those before them. Raises InvalidInput, saying where."""
    known: dict[tuple[object, ...], tuple[Price, str]] = {}
    # By model: each entry may name what it is the same as, and all rows are too many to look through each time.
    priced = defaultdict[str, list[Price]](list)
    for row in rows:
        priced[row.model].append(row)
    for number, entry in enumerate(entries, start=1):
        try:
            for said, row in _rows(entry, priced):
                if len(rows) >= rows_most:
                    raise ValueError(f"the book has more than {rows_most:,} rows")
                _require_one_price(known.setdefault(row.key, (row, f"{said} of entry {number}")), row, said)
                rows.append(row)
                priced[row.model].append(row)
        except (InvalidInput, KeyError, TypeError, ValueError) as error:
            message = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise InvalidInput(f"{name}: entry {number}{_named(entry)}: {message}") from error


def _require_one_price(known: tuple[Price, str], row: Price, said: str) -> None:
    """Refuse a second price for the same, and another end of it: of the two nobody knows which one is meant."""
    first, place = known
    if (first.price_nano, first.valid_to) != (row.price_nano, row.valid_to):
        priced = f"{row.meter}.{row.modality} of {row.model}"
        raise ValueError(f"{said} and {place} both price {priced}, and differently: leave one of them out")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path.name}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(f"{path.name}: no UTF-8: {error}") from error


def _entries(text: str, name: str) -> list[Any]:
    try:
        document = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_named_once)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}: no JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("entries"), list):
        raise InvalidInput(f"{name}: a price file is an object with a list of entries")
    return list(document["entries"])


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Read an object. Of a price that stands there twice nobody knows which one is meant."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:40]!r} stands twice in one object")
        found[name] = value
    return found


def _rows(entry: Mapping[str, Any], priced: _Priced) -> Iterator[tuple[str, Price]]:
    """Give the rows of an entry, each with what names its price there."""
    if not isinstance(entry, dict):
        raise TypeError("an entry is an object")
    if unknown := sorted(entry.keys() - _KEYS):
        raise ValueError(f"{unknown[0]!r} is no field of an entry")
    models = entry["models"]
    if not isinstance(models, list) or not models or not all(isinstance(model, str) for model in models):
        raise ValueError("models is a list of names")
    _require_legible(entry, models)
    if "same_as" in entry:
        yield from _aliases(entry, models, priced)
        return
    if not isinstance(entry["usd"], dict) or not entry["usd"]:
        raise ValueError("usd names at least one meter")
    for model in models:
        for name, usd in entry["usd"].items():
            yield repr(name), bounded(_price(entry, model, name, to_nano(usd)))


def _require_legible(entry: Mapping[str, Any], models: list[str]) -> None:
    for model in models:
        legible(model, "a model's name", MODEL_LENGTH_MAX)
    legible(entry["source"], "source", TEXT_LENGTH_MAX)
    legible(entry.get("note", ""), "note", TEXT_LENGTH_MAX)


def _aliases(entry: Mapping[str, Any], models: list[str], priced: _Priced) -> Iterator[tuple[str, Price]]:
    original = entry["same_as"]
    # Its rows as they are now: a model of the entry itself may be named, too.
    originals = tuple(priced.get(original, ())) if isinstance(original, str) else ()
    if not originals:
        raise ValueError(f"same_as names {original!r}, which no entry before this one prices")
    for model in models:
        for row in originals:
            source = f"{row.source}; as {row.model}: {entry['source']}"
            legible(source, "source, with the origin's,", _ORIGIN_MAX)
            yield "same_as", replace(row, model=model, source=source)


def _price(entry: Mapping[str, Any], model: str, name: str, price_nano: int) -> Price:
    meter_name, _, modality = name.partition(".")
    meter = Meter(meter_name)
    return Price(
        model=model,
        meter=meter,
        price_nano=price_nano,
        source=entry["source"],
        modality=Modality(modality or Modality.ANY),
        unit_size=UNIT_SIZES.get(meter, TOKEN_UNIT_SIZE),
        tier=Tier(entry.get("tier", Tier.STANDARD)),
        platform=Platform(entry["platform"]) if "platform" in entry else None,
        above_prompt_tokens=entry.get("above_prompt_tokens", 0),
        valid_from=_midnight(entry.get("from")),
        valid_to=_midnight(entry.get("to")),
        priority=entry.get("priority", 0),
        note=entry.get("note", ""),
    )


def _midnight(day: object) -> datetime | None:
    if day is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(day if isinstance(day, str) else ""), time(), UTC)
    except ValueError:
        raise ValueError(f"{day!r} is no day: write it like '2027-01-31'; prices change at midnight UTC") from None


def _named(entry: object) -> str:
    models = entry.get("models") if isinstance(entry, dict) else None
    first = models[0] if isinstance(models, list) and models else None
    return f" ({first[:_NAMED]})" if isinstance(first, str) and first.isprintable() else ""
