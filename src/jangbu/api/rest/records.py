"""Records: the provider's answer is sent, and what it reports is deducted. Nothing takes a count."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Response
from pydantic import Field, StringConstraints

from jangbu.api.rest.asked import Ask, Asked
from jangbu.api.rest.bodies import VALUES_MOST
from jangbu.api.rest.declared import OPERATIONS, Routes
from jangbu.api.rest.problems import facts_of
from jangbu.api.rest.values import Answer, Body, Name, Number, Part, Text, example
from jangbu.domain.flow import Receipt
from jangbu.domain.usage import Surface, Usage
from jangbu.errors import DatabaseUnreachable, IdempotencyConflict, InvalidInput, JangbuError
from jangbu.metering.evidence import require_told
from jangbu.metering.facts import receipt_facts
from jangbu.metering.keyed import with_key
from jangbu.metering.strict_json import holds_more_values
from jangbu.providers.gemini import parse_object

__all__ = ["AnswerText", "ReceiptFacts", "read_answer", "records"]

records = Routes("records")

BATCH_MOST = 1_000
_SHORT = 2_048
"""How long a text is read at once: the work of a millisecond, whatever it says."""
_AT_ONCE = 16
"""How many records of a batch are written at a time: the other connections are for the calls of the gateway."""
_ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "안녕하세요"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 150, "candidatesTokenCount": 300, "totalTokenCount": 450},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "answer-1",
}
_RECORD = {"user": "kim", "service": "text_generation", "answer": _ANSWER}
_RECEIPT = {
    "id": "0192f3a0-0000-7000-8000-000000000001",
    "user": "kim",
    "model": "gemini-2.5-flash",
    "charged_tokens": 450,
    "cost_nano": 795_000,
    "available": 999_550,
    "held_before": 0,
    "overrun": 0,
    "replayed": False,
    "anomalies": [],
}

AnswerText = Annotated[
    dict[str, Any] | list[Any] | Annotated[str, StringConstraints(strict=True, min_length=1)],
    Field(
        description="The answer as the provider gave it: its JSON, a list of its chunks or Live messages, or its text "
        "(JSON, server-sent events, JSON lines)."
    ),
]
Status = Literal["created", "exists", "accepted", "conflict", "failed"]


class Record(Body):
    """An answer, and whom it is to be charged to."""

    model_config = example(**_RECORD)
    user: Text
    service: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=50)]
    answer: AnswerText
    surface: Surface | None = Field(None, description="Where the answer came from, if it does not show.")
    model: Name | None = Field(None, description="The model, where the answer names none.")
    service_tier: Name | None = Field(
        None, description="What the answer's header x-gemini-service-tier said, where its body does not."
    )
    metadata: dict[str, Any] = Field(
        default_factory=dict,
        description="What else is kept with the record. The id of the key that sends it is added as jangbu_key.",
    )


class BatchRecord(Record):
    """One answer of a batch."""

    model_config = example(**_RECORD, call_id="call-1")
    call_id: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)] | None = Field(
        None, description="Your id of the call; without it the batch's key and the place in the batch stand for it."
    )


class Batch(Body):
    """Answers that are recorded together, each for itself."""

    model_config = example(records=[{**_RECORD, "call_id": "call-1"}])
    records: list[BatchRecord] = Field(min_length=1, max_length=BATCH_MOST)


class ReceiptFacts(Part):
    """What was charged: tokens, and money in nano-USD, null where no price is known.

    ``available`` is null where the database is away: the record is kept on the server's disk and written later.
    """

    id: UUID
    user: str
    model: str
    charged_tokens: Number
    cost_nano: Number | None
    available: Number | None
    held_before: Number
    overrun: Number
    replayed: bool
    anomalies: list[str]


class Recorded(Answer, ReceiptFacts):
    """A record, and whether it is new (``created``), was there (``exists``) or waits on the disk (``accepted``)."""

    model_config = example(schema_version=1, status="created", **_RECEIPT)
    status: Status


class Failure(Part):
    """Why an answer was not recorded."""

    code: str
    detail: str
    hint: str | None = None
    errors: list[dict[str, str]] | None = None


class Result(Part):
    """What became of one answer of a batch."""

    index: Number
    status: Status
    record: ReceiptFacts | None
    error: Failure | None


class Results(Answer):
    """What became of each answer, in the order in which they were sent."""

    model_config = example(
        schema_version=1,
        results=[
            {"index": 0, "status": "created", "record": _RECEIPT, "error": None},
            {
                "index": 1,
                "status": "conflict",
                "record": None,
                "error": {"code": "idempotency_conflict", "detail": "'call-1' was recorded with another answer"},
            },
        ],
    )
    results: list[Result]


@records.post("/records", roles=OPERATIONS, answer=Recorded, status=201, also=(200, 202), body_bytes=None)
async def create(ask: Ask, body: Record, response: Response) -> dict[str, Any]:
    """Record an answer and deduct what it reports, once for the idempotency key and once for the answer's own id."""
    facts, status = await _recorded(ask, body, ask.once)
    response.status_code = {"created": 201, "accepted": 202}.get(status, 200)
    return {"status": status, **facts}


@records.post("/records/batch", roles=OPERATIONS, answer=Results, body_bytes=None)
async def batch(ask: Ask, body: Batch) -> dict[str, Any]:
    """Record up to 1,000 answers, each for itself: one that cannot be recorded keeps none of the others out."""
    keys = [f"{ask.once}:{index}" if each.call_id is None else each.call_id for index, each in enumerate(body.records)]
    if len(set(keys)) < len(keys):
        raise InvalidInput("two records of the batch have the same call_id", hint="name each call by an id of its own")
    room, away = asyncio.Semaphore(_AT_ONCE), list[DatabaseUnreachable]()

    async def one(index: int) -> dict[str, Any]:
        async with room:
            return {"index": index, **await _result(ask, body.records[index], keys[index], away)}

    return {"results": await asyncio.gather(*map(one, range(len(keys))))}


async def read_answer(
    ask: Asked,
    answer: object,
    surface: Surface | None = None,
    model: str | None = None,
    service_tier: str | None = None,
) -> Usage:
    """Read what an answer used; a text is read beside the loop, but for a short one. Raises InvalidAnswer, and
    InvalidInput for a text that holds more values than a body may.
    """
    if isinstance(answer, str) and len(answer) > _SHORT:
        return await ask.parts.bodies.aside(_read_text, answer, surface, model, service_tier)
    return parse_object(answer, surface=surface, model=model, service_tier=service_tier)


def _read_text(answer: str, surface: Surface | None, model: str | None, service_tier: str | None) -> Usage:
    if holds_more_values(answer.encode(), VALUES_MOST):
        raise InvalidInput(f"the answer holds more than {VALUES_MOST:,} values")
    return parse_object(answer, surface=surface, model=model, service_tier=service_tier)


async def _result(ask: Asked, record: BatchRecord, key: str, away: list[DatabaseUnreachable]) -> Mapping[str, Any]:
    """Record one answer of a batch. Where others found the database ``away`` it does not wait for it once more."""
    try:
        if away:
            raise away[0]
        facts, status = await _recorded(ask, record, key)
    except JangbuError as error:
        if isinstance(error, DatabaseUnreachable):
            away.append(error)
        status = "conflict" if isinstance(error, IdempotencyConflict) else "failed"
        return {"status": status, "record": None, "error": facts_of(error)}
    return {"status": status, "record": facts, "error": None}


async def _recorded(ask: Asked, record: Record, key: str) -> tuple[dict[str, Any], Status]:
    usage = await read_answer(ask, record.answer, record.surface, record.model, record.service_tier)
    require_told(usage)
    kept = with_key(record.metadata, ask.key.id)
    await ask.ledger.services.admit(record.service)
    receipt = await ask.ledger.record(
        record.user, record.service, usage, model=record.model, call_key=key, metadata=kept
    )
    return receipt_facts(receipt, usage), _status(receipt)


def _status(receipt: Receipt) -> Status:
    if receipt.replayed:
        return "exists"
    return "accepted" if receipt.available is None else "created"
