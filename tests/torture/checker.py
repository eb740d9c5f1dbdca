"""Compares what the book says with what is true. Whoever finds something here has found a bug, or a wrong checker."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tests.torture.facts import Book, Counts, Given, Record, Whole

__all__ = ["Verdict", "closed", "judged"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, and how much of it there is by the words that were promised."""

    lost: Sequence[str] = ()
    twice: Sequence[str] = ()
    invented: Sequence[str] = ()
    untraceable: Sequence[str] = ()
    leaked: Sequence[str] = ()
    unroomed: Sequence[str] = ()
    """Calls that were made although their record had no room."""
    orphans: int = 0
    """Answers that nobody received and that are not recorded; each has an unknown hold, or is untraceable."""
    partial: int = 0

    @property
    def wrong(self) -> Sequence[str]:
        """Give all that is wrong."""
        return [*self.lost, *self.twice, *self.invented, *self.untraceable, *self.leaked, *self.unroomed]


def judged(given: Sequence[Given], whole: Sequence[Whole], book: Book, without_room: frozenset[int]) -> Verdict:
    """Judge the book after the sweep, before anybody resolves what is unknown.

    ``without_room`` are the lives whose disk had no room for any record.
    """
    by_call: Mapping[UUID | None, Record] = {record.call: record for record in book.records}
    orphans = [each for each in given if each.call not in by_call]
    return Verdict(
        lost=list(_lost(given, whole, by_call)),
        twice=list(_twice(book.records)),
        invented=list(_invented(given, whole, book.records)),
        untraceable=list(_untraceable(orphans, book)),
        leaked=list(_leaked(book, by_call)),
        unroomed=[
            f"life {each.life} had no room and was answered {each.answer}"
            for each in given
            if each.life in without_room
        ],
        orphans=len(orphans),
        partial=sum(record.source == "partial" for record in book.records),
    )


def closed(given: Sequence[Given], book: Book, granted: Mapping[str, int]) -> list[str]:
    """Judge the book after everything unknown was resolved: nothing is held, all is where it belongs."""
    wrong = [f"hold {id_} is {state}" for id_, state in book.holds.items() if state in ("open", "unknown")]
    wrong += [f"call {id_} is still shown as of unknown outcome" for id_ in book.shown]
    recorded = {record.call for record in book.records}
    wrong += [f"answer {each.answer} is not recorded in the end" for each in given if each.call not in recorded]
    used: Counter[str] = Counter()
    for record in book.records:
        used[record.user] += record.counts[-1]
    for user, (bought, spent, held) in book.balances.items():
        if bought != granted.get(user, 0) or book.grants.get(user, 0) != bought:
            wrong.append(f"{user}: {granted.get(user, 0)} tokens were bought, {bought} are in the balance")
        if spent != used[user] or held:
            wrong.append(f"{user}: {spent} tokens are used and {held} held, {used[user]} by the records")
        if bought - spent - held < 0:
            wrong.append(f"{user}: {bought - spent - held} tokens are left")
    return wrong


def _lost(given: Sequence[Given], whole: Sequence[Whole], by_call: Mapping[UUID | None, Record]) -> Iterator[str]:
    answers = {each.answer: each for each in given}
    for each in whole:
        truth = answers.get(each.answer)
        record = None if truth is None else by_call.get(truth.call)
        if truth is None or truth.counts != each.counts:
            yield f"an app has answer {each.answer} with {each.counts}; the fake gave {truth and truth.counts}"
        elif record is None:
            yield f"lost: an app has answer {each.answer} of call {truth.call} (life {truth.life}); it is not recorded"
        elif record.counts != each.counts:
            yield f"lost: answer {each.answer} is recorded with {record.counts} and has {each.counts}"


def _twice(records: Sequence[Record]) -> Iterator[str]:
    for what, number in Counter(record.answer for record in records if record.answer).items():
        if number > 1:
            yield f"answer {what} is recorded {number} times"
    for call, number in Counter(record.call for record in records).items():
        if number > 1:
            yield f"call {call} is recorded {number} times"


def _invented(given: Sequence[Given], whole: Sequence[Whole], records: Sequence[Record]) -> Iterator[str]:
    by_call = {each.call: each for each in given}
    read_whole = {each.answer for each in whole}
    for record in records:
        truth = by_call.get(record.call)
        if truth is None or record.answer != truth.answer:
            yield f"call {record.call} is recorded with answer {record.answer}; the fake gave {truth and truth.answer}"
        elif record.user != truth.user:
            yield f"answer {record.answer} was asked for by {truth.user} and is charged to {record.user}"
        elif not _agrees(record, truth.counts, is_whole=truth.answer in read_whole):
            yield f"answer {record.answer} is recorded as {record.source} with {record.counts}, not {truth.counts}"


def _agrees(record: Record, counts: Counts, *, is_whole: bool) -> bool:
    """Tell whether a record says what was answered, or of an answer that broke off a part of it."""
    if record.source == "reported" or is_whole:
        return record.counts == counts
    return record.source == "partial" and all(found <= most for found, most in zip(record.counts, counts, strict=True))


def _untraceable(orphans: Sequence[Given], book: Book) -> Iterator[str]:
    for each in orphans:
        state = None if each.call is None else book.holds.get(each.call)
        if state != "unknown":
            yield f"nobody knows of answer {each.answer} of call {each.call} (life {each.life}): its hold is {state}"
        elif each.call not in book.shown:
            yield f"call {each.call} is of unknown outcome, and nobody is told"


def _leaked(book: Book, by_call: Mapping[UUID | None, Record]) -> Iterator[str]:
    for id_, state in book.holds.items():
        if state == "open":
            yield f"hold {id_} is open after the sweep"
        elif state == "unknown" and id_ in by_call:
            yield f"call {id_} is recorded, and its hold is unknown"
