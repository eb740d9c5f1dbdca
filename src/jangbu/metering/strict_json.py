"""JSON that strangers send, understood only where it says one thing to everybody."""

import json
import math
import re
from typing import Any, NoReturn

from jangbu.errors import InvalidInput

__all__ = ["SURROGATE", "VALUES_MOST", "holds_more_values", "json_object"]

DEPTH_MOST = 100
"""How deep JSON may be nested: as deep as the provider itself reads it."""
VALUES_MOST = 50_000
"""How many values the JSON of a body may hold: each takes time and memory, however few bytes it has. A turn of a chat
has about six of them, so this is a chat of some 8,000 turns or an inline batch of some 4,000 requests.
"""

# Escapes of surrogates come in pairs, or mean nothing that UTF-8 can write. Few bodies hold any.
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SOUND_ESCAPES = re.compile(
    rb"(?:[^\\]++|\\(?!u[dD][89a-fA-F]).|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+", re.DOTALL
)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


def json_object(body: bytes, *, values_most: int = VALUES_MOST) -> dict[str, Any]:
    """Read a JSON object. Raises InvalidInput for what two readers could read differently: NaN, a number beyond all
    bounds, a name that is given twice, half of a surrogate pair, bytes that are no UTF-8; and for one that is too deep
    or holds too many values.
    """
    if holds_more_values(body, values_most):
        raise InvalidInput(f"the body holds more than {values_most:,} values", hint="send it in several requests")
    try:
        found = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidInput("the body is no UTF-8", hint="send JSON in UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise InvalidInput(f"the body is no JSON: {str(error)[:100]}") from None
    if not isinstance(found, dict):
        raise InvalidInput("the body is no JSON object", hint="send fields and their values in braces")
    if SURROGATE.search(body) is not None and _SOUND_ESCAPES.fullmatch(body) is None:
        raise InvalidInput("the body holds half of a surrogate pair", hint="text is written in whole characters")
    if body.count(b"{") + body.count(b"[") > DEPTH_MOST and _is_deep(found):
        raise _too_deep()
    return found


def holds_more_values(body: bytes, most: int) -> bool:
    """Tell whether JSON, or lines of it, holds more values than ``most``, without reading it."""
    return _values(body) > most and _values(_STRING.sub(b"", body)) > most


def _values(body: bytes) -> int:
    """Count the values of a JSON text, roughly and never too few; those that stand in its strings are counted, too."""
    return body.count(b",") + body.count(b"{") + body.count(b"[")


def _is_deep(value: Any) -> bool:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH_MOST:
            return True
        members = (each.values() if isinstance(each, dict) else each for each in level)
        level = [inner for each in members for inner in each if isinstance(inner, dict | list)]
    return False


def _too_deep() -> InvalidInput:
    return InvalidInput(f"the body is nested more than {DEPTH_MOST} deep", hint="send it flatter")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidInput("the body gives a name twice", hint="give each field one value")
    return found


def _finite(digits: str) -> float:
    """Read a number with a fraction or an exponent: 1e999 would become Infinity, which is no JSON."""
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidInput("a number of the body is larger than any reader takes", hint="send it as text")
    return number


def _no_number(name: str) -> NoReturn:
    raise InvalidInput(f"{name} is no number of JSON's", hint="send null, or leave the field out")


# Made once: json.loads would make one anew for each body.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
