"""Checking an exported history with nothing but its lines: no database, no network, no secret."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from jangbu.domain.chain import FIRST, Link
from jangbu.domain.ledger import Asset
from jangbu.errors import InvalidInput
from jangbu.metering.export_lines import FORMAT, VERSION, End, closing, entry, line_of, name_of, root
from jangbu.metering.signing import ALGORITHM, is_signed_by

__all__ = ["LINE_BYTES_MAX", "Checked", "check"]

_ASSETS = {name_of(asset): asset for asset in Asset}
_SIGNATURE = ("algorithm", "public_key", "signature")
LINE_BYTES_MAX = 100_000
"""Longer than any line of an export: a reason has at most 500 characters, a user 200."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What an export says, and the first line that does not fit, if any: ``line`` is None where all is well.

    ``public_key`` is that of whoever signed it, or None; ``entries`` are those that fit, ``ends`` how far they go.
    """

    project: str
    user: str
    account_id: str
    exported_at: str
    entries: int
    root: str | None
    public_key: str | None
    line: int | None = None
    why: str = ""
    ends: tuple[End, ...] = ()


def check(lines: Iterable[bytes], *, signed_by: str | None = None, earlier: Checked | None = None) -> Checked:
    """Follow an export from its first line to its last; ``signed_by`` is the public key that must have signed it.

    ``earlier`` is an export of the same account that was checked before: its history has to be the beginning of this
    one. Raises InvalidInput where it is no export, or one of another account.
    """
    numbered = enumerate(lines, 1)
    _, first = next(numbered, (1, b""))
    reading = _Reading(first.removesuffix(b"\n"), {} if earlier is None else {end.asset: end for end in earlier.ends})
    if earlier is not None and earlier.account_id != reading.facts.get("account_id"):
        raise InvalidInput("the earlier export is of another account")
    last = 1
    for number, line in numbered:
        last = number
        try:
            reading.take(line)
            if reading.is_closed and (extra := next(numbered, None)):
                raise _DiffersError("stands after the closing line", line=extra[0])
            if reading.is_closed and signed_by is not None and reading.public_key != signed_by.lower():
                raise _DiffersError("is not signed by the key that was asked for")
        except _DiffersError as differs:
            return reading.result(differs.line or number, str(differs))
    if not reading.is_closed:
        return reading.result(last + 1, "is missing: the export was cut off")
    return reading.result(None, "")


class _DiffersError(Exception):
    """A line does not fit; ``line`` names another one than the one that was read."""

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.line = line


@dataclass(slots=True)
class _Chain:
    seq: int = 0
    balance: int = 0
    hash: bytes = FIRST


@dataclass(slots=True)
class _Reading:
    """How far an export was followed."""

    first: bytes
    earlier: dict[Asset, End]
    facts: dict[str, Any] = field(init=False)
    chains: dict[Asset, _Chain] = field(default_factory=dict)
    entries: int = 0
    root: str | None = None
    public_key: str | None = None
    is_closed: bool = False

    def __post_init__(self) -> None:
        facts = _parsed(self.first)
        if facts is None or facts.get("export") != FORMAT:
            raise InvalidInput("this is no export of a ledger", hint="`jangbu ledger export USER --signed` makes one")
        if facts.get("version") != VERSION:
            raise InvalidInput(
                f"this export is of version {str(facts.get('version'))[:20]}", hint="check it with a newer release"
            )
        self.facts = facts

    def take(self, line: bytes) -> None:
        """Read a line after the first. Raises _DiffersError."""
        if not line.endswith(b"\n"):
            raise _DiffersError("is cut off")
        facts = _parsed(line)
        if facts is None:
            raise _DiffersError("is no line of an export")
        if "root" in facts:
            self._close(facts, line)
        else:
            self._enter(facts, line)

    def result(self, line: int | None, why: str) -> Checked:
        """Give what was found."""
        names = ("project", "user", "account_id", "exported_at")
        project, user, account, at = (str(self.facts.get(name)) for name in names)
        ends = tuple(End(asset, chain.seq, chain.hash) for asset, chain in self.chains.items())
        return Checked(project, user, account, at, self.entries, self.root, self.public_key, line, why, ends)

    def _enter(self, facts: dict[str, Any], line: bytes) -> None:
        try:
            link = _link(UUID(self.facts["account_id"]), facts)
            digest = bytes.fromhex(facts["hash"])
            again = line_of(entry(link, digest)) + b"\n"
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise _DiffersError("is no entry") from None
        if again != line:
            raise _DiffersError("is not as an entry is written")
        if any(asset > link.asset for asset in self.chains):
            raise _DiffersError("stands after the entries of another asset, which follow it")
        chain = self.chains.setdefault(link.asset, _Chain())
        if link.seq != chain.seq + 1:
            raise _DiffersError(f"is entry {link.seq}, and entry {chain.seq + 1} should follow")
        if link.hash_after(chain.hash) != digest:
            raise _DiffersError(f"entry {link.seq} does not have the hash of what it says after the entries before it")
        if link.balance_after != chain.balance + link.delta:
            raise _DiffersError(f"entry {link.seq} does not add up to its balance")
        if (end := self.earlier.get(link.asset)) and end.seq == link.seq and end.hash != digest:
            raise _DiffersError(f"entry {link.seq} ends another history than that of the earlier export")
        chain.seq, chain.balance, chain.hash = link.seq, link.balance_after, digest
        self.entries += 1

    def _close(self, facts: dict[str, Any], line: bytes) -> None:
        named = facts.get("chains")
        if not isinstance(named, dict) or not named.keys() <= _ASSETS.keys():
            raise _DiffersError("is no closing line")
        if facts.get("header") != hashlib.sha256(self.first).hexdigest():
            raise _DiffersError("is not the one that the export was closed with", line=1)
        assets = [_ASSETS[name] for name in named]
        followed = {asset: self.chains.get(asset, _Chain()) for asset in assets}
        ends = [End(asset, chain.seq, chain.hash) for asset, chain in followed.items()]
        closed = closing(self.first, ends)
        signature = {name: facts[name] for name in _SIGNATURE if name in facts}
        if not set(self.chains) <= set(assets) or closed["chains"] != named:
            raise _DiffersError("closes chains that end elsewhere: entries before it are missing, or were added")
        if any(end.seq > self.chains.get(asset, _Chain()).seq for asset, end in self.earlier.items()):
            raise _DiffersError("closes a history that is shorter than that of the earlier export")
        if line_of(closed | signature) + b"\n" != line:
            raise _DiffersError("does not have the root of the lines before it")
        if signature:
            self._check_signature(signature, root(self.first, ends))
        self.root, self.is_closed = facts["root"], True

    def _check_signature(self, signature: dict[str, Any], signed: bytes) -> None:
        key, value = str(signature.get("public_key")), str(signature.get("signature"))
        if signature.get("algorithm") != ALGORITHM or not is_signed_by(key, value, signed):
            raise _DiffersError("does not have a signature of what it closes")
        self.public_key = key


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Give the object that a line holds, or None where it holds none."""
    if len(line) > LINE_BYTES_MAX:
        return None
    try:
        facts = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def _link(account: UUID, facts: dict[str, Any]) -> Link:
    """Give the entry that a line tells. Raises KeyError, TypeError or ValueError where it tells none."""
    numbers = [facts[name] for name in ("seq", "delta", "balance_after")]
    if not all(type(number) is int for number in numbers) or type(facts["posting"]) not in (int, type(None)):
        raise TypeError("numbers are whole")
    reference, reason = facts["reference"], facts["reason"]
    if type(reason) not in (str, type(None)):
        raise TypeError("a reason is a text")
    return Link(
        account=account,
        asset=_ASSETS[facts["asset"]],
        seq=facts["seq"],
        kind=str(facts["kind"]),
        delta=facts["delta"],
        balance_after=facts["balance_after"],
        posting=facts["posting"],
        reference=None if reference is None else UUID(reference),
        reason=reason,
        created_at=datetime.fromisoformat(facts["created_at"]),
    )
