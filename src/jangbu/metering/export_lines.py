"""An account's history as lines of JSON that hang together: whoever has nothing but the lines can check them.

The first line says whose history it is, each of the others is an entry with its hash in the chain of its asset, and the
last one closes it: the hash of the first line, how far each chain goes, and the root, which is the SHA-256 of all that.
Every line is written in one way, so that nothing can stand in it that no hash knows.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jangbu.domain.chain import Link
from jangbu.domain.ledger import Asset

FORMAT = "jangbu-ledger"
VERSION = 1


@dataclass(frozen=True, slots=True)
class End:
    """Where the chain of an asset ends: the number of its last entry, and its hash."""

    asset: Asset
    seq: int
    hash: bytes


def line_of(facts: Mapping[str, Any]) -> bytes:
    """Give the one way to write a line, without its end."""
    return json.dumps(facts, ensure_ascii=False, separators=(", ", ": ")).encode()


def header(project: str, user: str, account: str, exported_at: datetime) -> dict[str, Any]:
    """Give the facts of the first line."""
    return {
        "export": FORMAT,
        "version": VERSION,
        "project": project,
        "user": user,
        "account_id": account,
        "exported_at": moment(exported_at),
    }


def entry(link: Link, digest: bytes) -> dict[str, Any]:
    """Give the facts of an entry's line."""
    return {
        "asset": name_of(link.asset),
        "seq": link.seq,
        "kind": link.kind,
        "delta": link.delta,
        "balance_after": link.balance_after,
        "posting": link.posting,
        "reference": None if link.reference is None else str(link.reference),
        "reason": link.reason,
        "created_at": moment(link.created_at),
        "hash": digest.hex(),
    }


def closing(first: bytes, ends: Sequence[End]) -> dict[str, Any]:
    """Give the facts of the last line, but for a signature; ``first`` is the first line."""
    chains = {name_of(end.asset): {"seq": end.seq, "hash": end.hash.hex()} for end in ends}
    return {"header": hashlib.sha256(first).hexdigest(), "chains": chains, "root": root(first, ends).hex()}


def root(first: bytes, ends: Sequence[End]) -> bytes:
    """Give what a signature signs: the SHA-256 of the format, the first line's hash and the ends of all chains."""
    parts = [FORMAT, str(VERSION), hashlib.sha256(first).hexdigest()]
    for end in ends:
        parts += [name_of(end.asset), str(end.seq), end.hash.hex()]
    return hashlib.sha256("|".join(parts).encode()).digest()


def name_of(asset: Asset) -> str:
    """Give an asset's name in an export."""
    return asset.name.lower()


def moment(at: datetime) -> str:
    """Give a moment in UTC, always to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
