"""Money and tokens as people read them; integers all the way."""

from typing import Literal

__all__ = ["counted", "dollars", "tokens"]

_NANO = 1_000_000_000
_SMALL = _NANO // 100


def tokens(count: int | None) -> str:
    """Give a count with its thousands grouped; nothing for None."""
    return "" if count is None else f"{count:,}"


def counted(number: int, noun: str, sign: Literal["-", "+"] = "-") -> str:
    """Give a number with its noun, which takes an s in the plural; with ``+`` every number has its sign."""
    return f"{number:{sign},} {noun}" if abs(number) == 1 else f"{number:{sign},} {noun}s"


def dollars(nano: int | None) -> str:
    """Give nano-USD as dollars: six decimals below one cent, four above; what is not 0 never reads 0.

    None, an unknown price, reads ``unpriced``.
    """
    if nano is None:
        return "unpriced"
    sign, amount = ("-" if nano < 0 else ""), abs(nano)
    decimals = 6 if amount < _SMALL else 4
    unit = 10 ** (9 - decimals)
    rounded = (amount + unit // 2) // unit
    if rounded == 0 and amount:
        return f"{sign}<$0.{'0' * (decimals - 1)}1"
    whole, fraction = divmod(rounded, 10**decimals)
    return f"{sign}${whole:,}.{fraction:0{decimals}d}"
