"""The ledger beside the log of the fake: each answer that was given is one record with its counts, and nothing else is.

An answer is known by the call that it belongs to and by its own id. What was handed over of a stream that broke off is
what counts there; an error is no record; an embedding whose answer reports nothing is what countTokens counts.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from jangbu.cli.demo.calls import Kind, PlannedCall
from jangbu.cli.demo.performing import CALL_HEADER, CALL_TAG
from jangbu.storage.usage import UsageRecord
from jangbu.testing.answer_log import Answer
from jangbu.testing.composing.counting import count_text

__all__ = ["Comparison", "Row", "compare", "tags_of"]

_FREE = "count_tokens"
_NAMES = {
    "prompt": "promptTokenCount",
    "candidates": "candidatesTokenCount",
    "thoughts": "thoughtsTokenCount",
    "tool": "toolUsePromptTokenCount",
    "cached": "cachedContentTokenCount",
}

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure that differs; None stands for what is not there at all."""

    call: str
    response_id: str
    user: str
    what: str
    expected: int | str | None
    found: int | str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many answers were compared, how many of them broke off, and what differs."""

    compared: int
    broken_off: int
    tokens: int
    differences: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _Fact:
    """What one answer used, by the log or by the ledger."""

    user: str
    model: str
    counts: Mapping[str, int]


def compare(answers: Iterable[Answer], records: Sequence[UsageRecord], calls: Sequence[PlannedCall]) -> Comparison:
    """Hold every answer beside its record, both ways."""
    given = [answer for answer in answers if answer.status == 200 and answer.surface != _FREE]
    expected = {_key_of_answer(answer): _fact_of_answer(answer, calls) for answer in given}
    mine = [record for record in records if CALL_TAG in tags_of(record)]
    found = {_key_of_record(record): _fact_of_record(record) for record in mine}
    rows = [
        *_uncountable("answers", Counter(map(_key_of_answer, given))),
        *_uncountable("records", Counter(map(_key_of_record, mine))),
    ]
    for key in sorted(expected.keys() | found.keys()):
        rows += _differences(key, expected.get(key), found.get(key))
    broken_off = sum(not answer.completely_sent for answer in given)
    total = sum(fact.counts["total"] for fact in expected.values())
    return Comparison(len(given), broken_off, total, tuple(rows))


def tags_of(record: UsageRecord) -> Mapping[str, Any]:
    """Give the tags that the app gave a call."""
    tags: Mapping[str, Any] = json.loads(record.metadata or "{}").get("tags", {})
    return tags


def _key_of_answer(answer: Answer) -> _Key:
    return answer.labels.get(CALL_HEADER, ""), answer.response_id or ""


def _key_of_record(record: UsageRecord) -> _Key:
    return str(tags_of(record)[CALL_TAG]), record.response_id or ""


def _fact_of_answer(answer: Answer, calls: Sequence[PlannedCall]) -> _Fact:
    usage = (answer.counted if answer.completely_sent else answer.reported) or {}
    counts = {name: int(usage.get(word, 0)) for name, word in _NAMES.items()}
    call = calls[int(answer.labels.get(CALL_HEADER, "0"))]
    if not usage and call.kind is Kind.EMBEDDING:
        counts["prompt"] = count_text(call.text)
    summed = sum(counts[name] for name in _NAMES if name != "cached")
    counts["total"] = int(usage.get("totalTokenCount", summed))
    return _Fact(unquote(answer.user or ""), answer.model or "", counts)


def _fact_of_record(record: UsageRecord) -> _Fact:
    counts = {name: int(getattr(record, name)) for name in (*_NAMES, "total")}
    return _Fact(record.user, record.model, counts)


def _differences(key: _Key, expected: _Fact | None, found: _Fact | None) -> list[Row]:
    call, response_id = key
    if expected is None or found is None:
        known = expected or found
        assert known is not None, "a key comes from one side at least"
        totals = [None if fact is None else fact.counts["total"] for fact in (expected, found)]
        what = "answer without a record" if found is None else "record without an answer"
        return [Row(call, response_id, known.user, what, *totals)]
    pairs: list[tuple[str, int | str, int | str]] = [
        ("user", expected.user, found.user),
        ("model", expected.model, found.model),
        *((name, expected.counts[name], found.counts[name]) for name in expected.counts),
    ]
    return [Row(call, response_id, expected.user, *pair) for pair in pairs if pair[1] != pair[2]]


def _uncountable(what: str, keys: Counter[_Key]) -> list[Row]:
    """Give those that cannot be told apart, of which only one could be compared."""
    return [Row(*key, "", f"{what} of one id", 1, number) for key, number in keys.items() if number > 1]
