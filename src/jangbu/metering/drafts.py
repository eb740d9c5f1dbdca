"""Records before their names have numbers, by what an answer is known again, and receipts of what was there first."""

import hashlib
import json
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from uuid import UUID

from jangbu.domain.flow import Receipt
from jangbu.domain.usage import Source, Usage
from jangbu.errors import IdempotencyConflict
from jangbu.metering.content import answer_id, digest, storable
from jangbu.metering.editions import Priced
from jangbu.metering.evidence import evidence
from jangbu.metering.spool import Claim
from jangbu.providers.gemini.batch import sum_members
from jangbu.storage.entries import KeyRow
from jangbu.storage.usage import Flushed, UsageRecord, UsageRow

__all__ = [
    "Draft",
    "answer_key",
    "answer_name",
    "call_name",
    "known_answers",
    "other_answer",
    "other_settlement",
    "receipt_again",
    "receipt_of",
    "receipt_spooled",
]

_SHOWN = 5
"""How many of a batch's answers an error names."""
_HAND_OVER_AGAIN = "hand the batch over again, under the key that it had: the others are charged then"


@dataclass(frozen=True, slots=True)
class Draft:
    """A record before its names have numbers."""

    user: str
    service: str
    model: str
    usage: Usage
    metadata: str | None
    was_held: bool
    id: UUID
    answer: tuple[str, bytes] | None
    claim: Claim | None = None
    """The caller's own key, where it has one."""

    def row(self, account: UUID, numbers: tuple[int, int], priced: Priced) -> UsageRow:
        """Give the record as it is written; ``numbers`` are those of its service and its model."""
        reported, counts = self.usage, self.usage.counts
        return UsageRow(
            account_id=account,
            id=self.id,
            service_id=numbers[0],
            model_id=numbers[1],
            surface=reported.surface,
            platform=reported.platform,
            tier=reported.tier,
            source=reported.source,
            prompt=counts.prompt,
            candidates=counts.candidates,
            thoughts=counts.thoughts,
            tool=counts.tool,
            cached=counts.cached,
            total=reported.total_tokens,
            cost_nano=priced.cost_nano,
            input_cost_nano=priced.input_cost_nano,
            charge_nano=priced.charge_nano,
            price_version=priced.version,
            was_held=self.was_held,
            response_id=answer_id(reported.response_id),
            anomalies=",".join(reported.anomalies) or None,
            raw=storable(evidence(reported)),
            metadata=self.metadata,
            key=self.answer[0] if self.answer else None,
            digest=self.answer[1] if self.answer else None,
            members=_members(reported, self.answer),
        )


def other_answer(named: str, known: KeyRow) -> IdempotencyConflict:
    """Say that what a key names was recorded before with another answer."""
    return IdempotencyConflict(
        f"{named} was recorded at {known.created_at:%Y-%m-%d %H:%M} UTC with another answer",
        hint="the first record stands; use a new call id for a new answer",
    )


def other_settlement(record: UsageRecord) -> IdempotencyConflict:
    """Say that a call was settled before by another answer."""
    return IdempotencyConflict(
        f"call {record.id} was settled at {record.recorded_at:%Y-%m-%d %H:%M} UTC with another answer",
        hint="the first record stands; hand the other answer over, if both were made",
    )


def known_answers(names: Sequence[str], number: int) -> IdempotencyConflict:
    """Say that of a batch's so many answers some were recorded before: those of these keys."""
    all_of_them = f"all {number:,} answers of this batch were"
    some = f"{len(names):,} of the {number:,} answers of this batch {'was' if len(names) == 1 else 'were'}"
    shown = ", ".join(name.partition(":")[2] for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return IdempotencyConflict(
        f"{all_of_them if len(names) == number else some} recorded before: {shown}{more}",
        hint="they are not charged again; hand over others alone" if len(names) == number else _HAND_OVER_AGAIN,
    )


def without(draft: Draft, charged: Set[tuple[str, bytes]]) -> Draft | None:
    """Give the draft of a batch without the answers that other records are charged for; None where nothing is left, or
    there are none. What is left is known as the whole: handed over again, the batch gives its receipt.
    """
    left = [member for member in draft.usage.members if answer_key(member) not in charged]
    if not charged or all(member.source is Source.NONE for member in left):
        return None
    whole = draft.usage
    usage = replace(sum_members(left), source=whole.source, platform=whole.platform, model=whole.model)
    return replace(draft, usage=usage)


def answer_key(usage: Usage) -> tuple[str, bytes] | None:
    """Give the key under which an answer is known by its own id, and the digest of its counts.

    Google's responseId is the same in all chunks of a stream and never shared by two answers: 1,154 of 1,156 recorded
    answers carry one. The counts tell a whole answer from a part of it. What reports no counts (a batch or a run that
    is still under way) claims nothing. The result file of a batch says nowhere whose it is, and is known by the ids of
    the answers in it, which are known by themselves, too.
    """
    known = answer_id(usage.response_id)
    name = _name_by_members(usage) if known is None else answer_name(known)
    if name is None or usage.source is Source.NONE:
        return None
    return name, hashlib.sha256(",".join(map(str, usage.tally)).encode()).digest()


def answer_name(answer: str) -> str:
    """Give the key of an answer by its own id."""
    return f"answer:{answer}"


def call_name(key: str) -> str:
    """Give the key of a call by the name that its caller has for it."""
    return f"call:{key}"


def _members(usage: Usage, own: tuple[str, bytes] | None) -> str | None:
    """Give the keys by which a batch's answers are known themselves, with their digests, as JSON; None without any. The
    batch's ``own`` key is none of them: it is claimed for the whole.
    """
    keys = dict(filter(None, map(answer_key, usage.members)))
    if own is not None:
        keys.pop(own[0], None)
    return json.dumps({key: counts.hex() for key, counts in keys.items()}) if keys else None


def _name_by_members(usage: Usage) -> str | None:
    """Give the key of several answers by the ids that they bear, in whichever order they come; None where none does."""
    ids = sorted(member.response_id for member in usage.members if member.response_id is not None)
    return f"answers:{digest(*ids).hex()}" if ids else None


def receipt_of(draft: Draft, row: UsageRow, flushed: Flushed) -> Receipt:
    """Give the receipt of a record that is new."""
    held = flushed.hold_amount
    overrun = _overrun(row.total, held)
    return Receipt(row.id, draft.user, draft.model, row.total, row.cost_nano, flushed.available, held, overrun)


def receipt_spooled(draft: Draft, row: UsageRow) -> Receipt:
    """Give what is known of a record that is in the spool."""
    return Receipt(row.id, draft.user, draft.model, row.total, row.cost_nano, None)


def receipt_again(record: UsageRecord, available: int) -> Receipt:
    """Give the receipt of a record that was there already."""
    held = record.hold_amount or 0
    return Receipt(
        record.id,
        record.user,
        record.model,
        record.total,
        record.cost_nano,
        available,
        held,
        _overrun(record.total, held),
        replayed=True,
    )


def _overrun(total: int, held: int) -> int:
    """Give the tokens beyond what was held; of a call that nothing was held for, none."""
    return max(0, total - held) if held else 0
