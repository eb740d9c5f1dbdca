"""What is kept of a usage record in the spool: all of it."""

import json
import zlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.domain.usage import Platform, Source, Surface
from jangbu.errors import InvalidInput
from jangbu.metering.spool import Claim, SpooledEnd, SpooledUsage, decode_record, encode_record
from jangbu.storage.usage import UsageRow

counts = st.integers(0, 2**53 - 1)
text = st.text(max_size=50)


@st.composite
def rows(draw: st.DrawFn) -> UsageRow:
    return UsageRow(
        account_id=draw(st.uuids()),
        id=draw(st.uuids()),
        service_id=0,
        model_id=0,
        surface=Surface.LIVE,
        platform=Platform.VERTEX,
        tier=draw(st.none() | text),
        source=Source.PARTIAL,
        prompt=draw(counts),
        candidates=draw(counts),
        thoughts=draw(counts),
        tool=draw(counts),
        cached=draw(counts),
        total=draw(counts),
        cost_nano=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        input_cost_nano=draw(st.none() | counts),
        charge_nano=draw(st.none() | counts),
        price_version=draw(st.none() | counts),
        was_held=draw(st.booleans()),
        response_id=draw(st.none() | text),
        anomalies=draw(st.none() | text),
        raw=draw(st.text(max_size=9000)),
        metadata=draw(st.none() | text),
        key=draw(st.none() | text),
        digest=draw(st.none() | st.binary(max_size=32)),
    )


claims = st.none() | st.builds(Claim, text, st.binary(max_size=32))


@given(rows(), text, text, text, claims)
def test_a_record_comes_back_as_it_was(row: UsageRow, user: str, service: str, model: str, claim: Claim | None) -> None:
    spooled = SpooledUsage("project", user, service, model, row, claim)
    assert decode_record(encode_record(spooled)) == spooled


@given(st.uuids(), st.uuids(), text, st.booleans())
def test_the_end_of_a_hold_comes_back_as_it_was(account: UUID, hold: UUID, reason: str, is_unknown: bool) -> None:
    spooled = SpooledEnd(account, hold, reason, is_unknown)
    assert decode_record(encode_record(spooled)) == spooled


def test_a_large_record_takes_little_room() -> None:
    row = UsageRow(
        UUID(int=1), UUID(int=2), 0, 0, "live", "vertex", None, "reported", 1, 1, 0, 0, 0, 2, None, None, None, None,
        False, None, None, json.dumps([{"promptTokenCount": number} for number in range(5000)]), None,
    )  # fmt: skip
    spooled = SpooledUsage("p", "u", "s", "m", row)
    assert len(encode_record(spooled)) < len(row.raw) / 4
    assert decode_record(encode_record(spooled)) == spooled


@pytest.mark.parametrize(
    "payload",
    [b"", b"J", b"J{}", b"Jnull", b'J{"version":1}', b"Zjunk", b"Q{}", b"J" + bytes(8), b'J{"version":1,"row":{}}'],
)
def test_what_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_record(payload)


def test_a_record_of_a_later_release_says_so() -> None:
    with pytest.raises(InvalidInput, match="version 2"):
        decode_record(b"Z" + zlib.compress(b'{"version":2}'))
