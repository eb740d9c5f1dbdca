"""What waits in the spool: complete, so that whoever finds it can write it, and compressed where it is large.

Services and models go by their names: their numbers are the database's, which may be away, or another one by then.
"""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from jangbu.errors import InvalidInput
from jangbu.storage.usage import UsageRow

__all__ = ["Claim", "Spooled", "SpooledEnd", "SpooledUsage", "decode_record", "encode_record"]

_PLAIN, _DEFLATED = b"J", b"Z"
_DEFLATE_FROM_BYTES = 4096
_VERSION = 1
_BY_NAME = ("service_id", "model_id")
_CODED: dict[str, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "account_id": (str, UUID),
    "id": (str, UUID),
    "digest": (bytes.hex, bytes.fromhex),
}


class Claim(NamedTuple):
    """A caller's own key of a record, and the digest of what it stands for."""

    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class SpooledUsage:
    """A record and what it needs beside the row: the project, the user, and names instead of numbers.

    The numbers in ``row`` mean nothing. Under ``claim`` it is recorded once, by the id that its key stands for.
    """

    project: str
    user: str
    service: str
    model: str
    row: UsageRow
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class SpooledEnd:
    """The end of a hold whose call is not charged: given back, or held on because its outcome is not known."""

    account_id: UUID
    hold: UUID
    reason: str
    is_unknown: bool


Spooled = SpooledUsage | SpooledEnd


def encode_record(spooled: Spooled) -> bytes:
    """Give the bytes of a record."""
    kept = _end_to_json(spooled) if isinstance(spooled, SpooledEnd) else _usage_to_json(spooled)
    text = json.dumps({"version": _VERSION, **kept}, separators=(",", ":")).encode()
    return _PLAIN + text if len(text) < _DEFLATE_FROM_BYTES else _DEFLATED + zlib.compress(text, 1)


def _end_to_json(spooled: SpooledEnd) -> dict[str, Any]:
    return {
        "end": {
            "account_id": str(spooled.account_id),
            "hold": str(spooled.hold),
            "reason": spooled.reason,
            "is_unknown": spooled.is_unknown,
        }
    }


def _usage_to_json(spooled: SpooledUsage) -> dict[str, Any]:
    row = {name: value for name, value in spooled.row._asdict().items() if name not in _BY_NAME and value is not None}
    for name, (write, _) in _CODED.items():
        if name in row:
            row[name] = write(row[name])
    claim = {} if spooled.claim is None else {"claim": [spooled.claim.key, spooled.claim.digest.hex()]}
    return {
        "project": spooled.project,
        "user": spooled.user,
        "service": spooled.service,
        "model": spooled.model,
        "row": row,
        **claim,
    }


def decode_record(payload: bytes) -> Spooled:
    """Read a record. Raises InvalidInput for what is none, or was written by a later release."""
    try:
        kind, text = payload[:1], payload[1:]
        kept = json.loads(text if kind == _PLAIN else zlib.decompress(text))
        if kept["version"] != _VERSION:
            raise _unknown(f"a record of version {kept['version']!r}", "upgrade Jangbu")
        if "end" in kept:
            end = kept["end"]
            return SpooledEnd(UUID(end["account_id"]), UUID(end["hold"]), str(end["reason"]), end["is_unknown"] is True)
        row = dict.fromkeys(UsageRow._fields) | dict.fromkeys(_BY_NAME, 0) | kept["row"]
        for name, (_, read) in _CODED.items():
            row[name] = None if row[name] is None else read(row[name])
        names = (kept["project"], kept["user"], kept["service"], kept["model"])
        return SpooledUsage(*names, UsageRow(**row), _claim(kept.get("claim")))
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise _unknown(f"something that is no record: {error!r}", "see its quarantine") from None


def _claim(kept: list[str] | None) -> Claim | None:
    if kept is None:
        return None
    key, digest = kept
    return Claim(str(key), bytes.fromhex(digest))


def _unknown(what: str, hint: str) -> InvalidInput:
    return InvalidInput(f"the spool holds {what}", hint=hint)
