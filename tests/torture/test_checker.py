"""The checker can fail: each wrong book is told, by the words that it is wrong in."""

import json
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from jangbu.config import Settings
from jangbu.domain.flow import Bounds, Call, Settle, TakeHold
from jangbu.providers.gemini import parse
from jangbu.wiring import open_metering
from tests.torture import points
from tests.torture.bank import look
from tests.torture.checker import Verdict, closed, judged
from tests.torture.facts import Book, Given, Record, Whole, book
from tests.torture.messages import Answer, Requests

CALLS = [UUID(int=number) for number in range(4)]
COUNTS = (10, 20, 0, 30)


def given(number: int) -> Given:
    return Given(f"answer-{number}", CALLS[number], "kim", number, "gemini-2.5-flash", COUNTS, {})


def record(number: int) -> Record:
    return Record("kim", CALLS[number], f"answer-{number}", COUNTS, "reported")


# Two answers that apps have, one that only the book has, and one that nobody knows the outcome of.
GIVEN = [given(number) for number in range(4)]
WHOLE = [Whole(f"answer-{number}", COUNTS) for number in range(2)]
RIGHT = Book(
    records=[record(number) for number in range(3)],
    holds={CALLS[3]: "unknown"},
    shown=frozenset({CALLS[3]}),
    balances={"kim": (1_000, 90, 50)},
    grants={"kim": 1_000},
)


def told(state: Book, without_room: frozenset[int] = frozenset()) -> Verdict:
    return judged(GIVEN, WHOLE, state, without_room)


def test_a_right_book_is_right() -> None:
    verdict = told(RIGHT)
    assert verdict.wrong == []
    assert verdict.orphans == 1


def with_records(*records: Record) -> Book:
    return replace(RIGHT, records=[*records])


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (with_records(record(1), record(2)), "lost"),
        (with_records(*RIGHT.records, replace(record(0), call=CALLS[3])), "twice"),
        (with_records(*RIGHT.records, record(0)), "twice"),
        (with_records(replace(record(0), counts=(10, 20, 0, 31)), record(1), record(2)), "lost"),
        (with_records(record(0), record(1), replace(record(2), counts=(10, 20, 0, 31))), "invented"),
        (with_records(record(0), record(1), replace(record(2), user="lee")), "invented"),
        (with_records(*RIGHT.records, replace(record(0), call=UUID(int=9), answer="answer-9")), "invented"),
        (with_records(replace(record(0), source="partial", counts=(10, 3, 0, 13)), record(1), record(2)), "lost"),
        (replace(RIGHT, holds={}), "untraceable"),
        (replace(RIGHT, holds={CALLS[3]: "released"}), "untraceable"),
        (replace(RIGHT, shown=frozenset()), "untraceable"),
        (replace(RIGHT, holds={**RIGHT.holds, UUID(int=9): "open"}), "leaked"),
        (replace(RIGHT, holds={**RIGHT.holds, CALLS[0]: "unknown"}), "leaked"),
    ],
)
def test_a_wrong_book_is_told(state: Book, words: str) -> None:
    assert getattr(told(state), words) != []


def test_who_had_no_room_may_not_have_called() -> None:
    assert told(RIGHT, frozenset({2})).unroomed != []


def test_a_part_of_an_answer_that_nobody_has_whole_is_right() -> None:
    part = replace(record(2), source="partial", counts=(10, 3, 0, 13))
    assert told(with_records(record(0), record(1), part)).wrong == []


END = replace(
    RIGHT,
    records=[record(number) for number in range(4)],
    holds={},
    shown=frozenset(),
    balances={"kim": (1_000, 120, 0)},
)


@pytest.mark.parametrize(
    "state",
    [
        replace(END, records=END.records[:3], balances={"kim": (1_000, 90, 0)}),
        replace(END, balances={"kim": (1_000, 121, 0)}),
        replace(END, balances={"kim": (1_000, 120, 1)}),
        replace(END, balances={"kim": (2_000, 120, 0)}),
        replace(END, grants={"kim": 2_000}),
        replace(END, holds={CALLS[3]: "unknown"}),
        replace(END, shown=frozenset({CALLS[3]})),
    ],
)
def test_a_wrong_end_is_told(state: Book) -> None:
    assert closed(GIVEN, END, {"kim": 1_000}) == []
    assert closed(GIVEN, state, {"kim": 1_000}) != []


def answer(name: str, total: int) -> bytes:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": total - 10, "totalTokenCount": total}
    facts = {"usageMetadata": usage, "responseId": name, "modelVersion": "gemini-2.5-flash", "candidates": []}
    return json.dumps(facts).encode()


@pytest.fixture
async def connection(database_url: str, tmp_path: Path) -> asyncpg.Connection:
    """Give a connection to a book with two records and a hold."""
    settings = Settings.load(database_url=database_url, spool_dir=tmp_path)
    async with open_metering(settings, delivers=False) as metering:
        await metering.accounts.create("kim")
        await metering.accounts.grant("kim", 10_000, key="first")
        for number in range(3):
            bounds = Bounds(input_most=10, output_most=100, output_chosen=True)
            call = Call(UUID(int=(0x0190_0000_0000 << 80) + number), "kim", "script", "gemini-2.5-flash", bounds)
            await metering.execute(TakeHold(call, 10, 110, 110))
            if number < 2:
                await metering.execute(Settle(call, parse(answer(f"answer-{number}", 30 + number))))
    connected = await asyncpg.connect(database_url)
    yield connected
    await connected.close()


async def test_a_right_ledger_passes_the_bank_test(connection: asyncpg.Connection) -> None:
    wrong, least = await look(connection)
    assert (wrong, least) == ([], 10_000 - 61 - 110)
    state = await book(connection)
    assert [each.counts for each in state.records] == [(10, 20, 0, 30), (10, 21, 0, 31)]
    assert list(state.holds.values()) == ["open"]
    assert (state.balances, state.grants) == ({"kim": (10_000, 61, 110)}, {"kim": 10_000})


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM jangbu.usage WHERE response_id = 'answer-0'",
        "UPDATE jangbu.usage SET total = total + 1 WHERE response_id = 'answer-0'",
        "UPDATE jangbu.balances SET used = used + 1",
        "UPDATE jangbu.balances SET held = held + 1",
        "UPDATE jangbu.balances SET granted = granted + 1",
        "UPDATE jangbu.holds SET amount = amount + 1",
        "DELETE FROM jangbu.holds WHERE state = 'open'",
        "DELETE FROM jangbu.entries WHERE seq = 2",
        "UPDATE jangbu.entries SET delta = delta - 1 WHERE seq = 2",
        "UPDATE jangbu.entries SET balance_after = balance_after - 1 WHERE seq = 2",
        "UPDATE jangbu.balances SET held = granted; UPDATE jangbu.holds SET amount = 10000 WHERE state = 'open'",
    ],
)
async def test_a_damaged_ledger_does_not_pass_the_bank_test(connection: asyncpg.Connection, damage: str) -> None:
    await connection.execute(damage)
    wrong, _ = await look(connection)
    assert wrong != []


def test_every_function_that_a_point_names_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    points.check()
    renamed = points.Point("after", ("jangbu.metering.recorder:Recorder.record_renamed",))
    monkeypatch.setattr(points, "POINTS", {"renamed": renamed})
    with pytest.raises(AttributeError):
        points.check()


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


STARTUP = b"\0\3\0\0user\0jangbu\0application_name\0life-12\0\0"
FLUSH = message(b"P", b"one\0-- why\nINSERT INTO jangbu.usage (a) SELECT\0\0\0") + message(b"B", b"\0one\0\0\0")


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_statements_are_known_however_their_bytes_are_cut(pieces: int) -> None:
    sent = (
        (len(STARTUP) + 4).to_bytes(4, "big") + STARTUP + FLUSH + message(b"B", b"\0two\0") + message(b"B", b"\0one\0")
    )
    reading, size = Requests(), -(-len(sent) // pieces)
    kinds = [kind for at in range(0, len(sent), size) for kind in reading.feed(sent[at : at + size])]
    assert (kinds, reading.life) == (["flush", "flush"], 12)


READY, IN_TRANSACTION = message(b"Z", b"I"), message(b"Z", b"T")


@pytest.mark.parametrize(
    ("answered", "is_committed"),
    [
        (message(b"C", b"SELECT 3\0") + READY, True),
        (message(b"s", b"") + READY, True),
        (message(b"C", b"SELECT 0\0") + READY, False),
        (message(b"E", b"SERROR\0") + READY, False),
        (message(b"C", b"SELECT 3\0") + IN_TRANSACTION, False),
        (message(b"C", b"SELECT 3\0"), None),
    ],
)
def test_only_what_was_committed_is_an_ambiguous_commit(answered: bytes, is_committed: bool | None) -> None:
    assert Answer().feed(answered) is is_committed
    one_by_one = Answer()
    told = [one_by_one.feed(answered[at : at + 1]) for at in range(len(answered))]
    assert told[-1] is is_committed
