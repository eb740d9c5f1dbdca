"""The chain of entries: the line that is hashed is one that anybody can write down."""

import hashlib
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from jangbu.domain.chain import FIRST, Link
from jangbu.domain.ledger import Asset

KIM = UUID("6b2d1c3e-0000-5000-8000-00000000000a")
CALL = UUID("0197a000-0000-7000-8000-000000000001")
GRANT = Link(
    KIM, Asset.TOKENS, 1, "grant", 1_000, 1_000, None, None, None, datetime(2026, 5, 1, 9, 0, 0, 7, tzinfo=UTC)
)
OTHER: dict[str, Any] = {
    "account": CALL,
    "asset": Asset.MONEY,
    "seq": 2,
    "kind": "refund",
    "delta": 1_001,
    "balance_after": 1_001,
    "posting": 0,
    "reference": CALL,
    "reason": "",
    "created_at": GRANT.created_at + timedelta(microseconds=1),
}


def test_the_line_of_an_entry_is_plain_text() -> None:
    assert GRANT.line(FIRST) == f"|{KIM}|1|1|grant|1000|1000|||1777626000.000007"
    assert GRANT.hash_after(FIRST) == hashlib.sha256(GRANT.line(FIRST).encode()).digest()
    refund = replace(GRANT, seq=2, kind="refund", reference=CALL, reason="환불|너무 늦음")
    assert refund.line(b"\x01\xff") == f"01ff|{KIM}|1|2|refund|1000|1000||{CALL}|1777626000.000007|환불|너무 늦음"


@pytest.mark.parametrize("name", [field.name for field in fields(Link)])
def test_every_field_of_an_entry_and_the_hash_before_it_change_its_hash(name: str) -> None:
    assert replace(GRANT, **{name: OTHER[name]}).hash_after(FIRST) != GRANT.hash_after(FIRST)
    assert GRANT.hash_after(b"\x00" * 32) != GRANT.hash_after(FIRST)


def test_a_moment_is_hashed_whatever_zone_it_is_told_in() -> None:
    in_seoul = replace(GRANT, created_at=GRANT.created_at.astimezone(timezone(timedelta(hours=9))))
    assert in_seoul.hash_after(FIRST) == GRANT.hash_after(FIRST)
