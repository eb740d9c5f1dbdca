"""What people type: read strictly."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.cli.values import call_id, file_bytes, json_object, moment, whole_number
from jangbu.errors import InvalidInput, InvalidMetadata


@given(st.integers(0, 2**63 - 1))
def test_every_count_is_read_as_it_is_written(number: int) -> None:
    assert whole_number(str(number), "tokens") == number
    assert whole_number(f"{number:,}", "tokens") == number
    assert whole_number(f"{number:_}", "tokens") == number


@given(st.text())
def test_whatever_else_is_typed_is_refused_and_never_guessed(text: str) -> None:
    try:
        number = whole_number(text, "tokens", least=-(2**63))
    except InvalidInput:
        return
    assert text.strip().replace(",", "").replace("_", "").lstrip("+-0").isascii()
    assert int(text.strip().replace(",", "").replace("_", "")) == number


def test_a_plus_is_read_only_where_a_minus_might_stand() -> None:
    assert whole_number("+1,000", "tokens", least=-5) == 1_000
    with pytest.raises(InvalidInput, match="no whole number"):
        whole_number("+1,000", "tokens")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T09:00:00Z", datetime(2027, 1, 31, 9, tzinfo=UTC)),
        ("2027-01-31T09:00+09:00", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31t09:00z", datetime(2027, 1, 31, 9, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_in_its_zone(text: str, meant: datetime) -> None:
    assert moment(text, "the date") == meant


def test_a_date_begins_by_the_clock_of_the_zone_that_is_asked_for() -> None:
    for zone, text, meant in (
        ("Asia/Seoul", "2027-01-31", datetime(2027, 1, 30, 15, tzinfo=UTC)),
        ("Asia/Seoul", "2027-01-31T00:00:00Z", datetime(2027, 1, 31, tzinfo=UTC)),
        ("America/Santiago", "2026-09-06", datetime(2026, 9, 6, 4, tzinfo=UTC)),  # its midnight is left out
    ):
        assert moment(text, "the date", ZoneInfo(zone)) == meant, (zone, text)
    with pytest.raises(InvalidInput, match="the date"):
        moment("0001-01-01", "the date", ZoneInfo("Asia/Seoul"))


@pytest.mark.parametrize(
    "text",
    [
        "31.1.2027", "2027-02-30", "2027-01-31T09:00:00", "0001-01-01T00:00:00+09:00", "", "2027-01-31t09:00",
        "2027-01-31_09:00", "2027-01-31_09:00Z", "2027-01-31+09:00",
    ],
)  # fmt: skip
def test_a_moment_that_could_mean_two_things_or_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="the date"):
        moment(text, "the date")


def test_no_more_of_a_file_is_read_than_shows_that_it_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "endless"
    path.write_bytes(b"x" * 100)
    assert [len(file_bytes(str(path), most=most)) for most in (None, 100, 10)] == [100, 100, 11]
    with path.open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert len(file_bytes("-", most=10)) == 11
    assert len(file_bytes("/dev/zero", most=10)) == 11


@pytest.mark.parametrize("text", ["{", "[]", "1", '"a"', "{" * 100_000, '{"a":' * 100_000, '{"a": 1, "a": 2}'])
def test_metadata_is_a_json_object(text: str) -> None:
    with pytest.raises(InvalidMetadata):
        json_object(text, "metadata")


def test_a_call_is_named_by_its_id() -> None:
    with pytest.raises(InvalidInput, match="no id of a hold"):
        call_id("first", "a hold")
