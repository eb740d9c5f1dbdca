"""Metering: what drivers of a call's life ask for, done in the ledger.

One ``Metering`` serves one event loop; the SDK runs it on a background thread, the gateway on its own loop.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import UUID

from jangbu import telemetry
from jangbu.clock import Clock, new_id
from jangbu.domain.flow import Call, Held, LedgerEffect, MarkUnknown, Receipt, Refused, Release, Settle, TakeHold
from jangbu.domain.usage import Source, Usage
from jangbu.errors import IdempotencyConflict, InvalidInput, RecordingFailed
from jangbu.metering.accounts import Accounts
from jangbu.metering.content import answer_id, digest, metadata_text, model_name, service_name, storable
from jangbu.metering.evidence import evidence
from jangbu.metering.holds import Holds, unknown_user
from jangbu.metering.keys import Keys
from jangbu.metering.pricing import Pricing
from jangbu.metering.recorder import Recorder
from jangbu.metering.resources import Resources
from jangbu.metering.retention import dropped_by_retention
from jangbu.metering.retry import repeated
from jangbu.storage import entries, usage
from jangbu.storage.database import Database
from jangbu.storage.entries import KeyRow
from jangbu.storage.names import Names
from jangbu.storage.usage import Flushed, UsageRecord, UsageRow

Result = TypeVar("Result")

_CALL_KEY_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class _Draft:
    """A record before its names have numbers."""

    user: str
    service: str
    model: str
    usage: Usage
    metadata: str | None
    was_held: bool
    id: UUID
    answer: tuple[str, bytes] | None


class Metering:
    """The ledger of one project, as the rest of Jangbu uses it."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        accounts: Accounts,
        holds: Holds,
        keys: Keys,
        resources: Resources,
        recorder: Recorder,
        pricing: Pricing,
    ) -> None:
        self.database = database
        self.clock = clock
        self.accounts = accounts
        self.holds = holds
        self.keys = keys
        self.resources = resources
        self.recorder = recorder
        self.pricing = pricing
        self._services = Names(database, "service")
        self._models = Names(database, "model")

    async def execute(self, effect: LedgerEffect) -> Held | Refused | Receipt | None:
        """Do one step of a call's life, durably. See ``domain.flow`` for what each step means."""
        match effect:
            case TakeHold(call=call):
                # What a record could not hold is refused here, before the call: afterwards it must be recorded.
                service_name(call.service)
                metadata_text(call.metadata)
                return await self.holds.take(self.accounts.id_of(call.user), effect)
            case Settle(call=call, usage=reported):
                return await self._settle(call, reported)
            case Release(call=call, reason=reason):
                await self.holds.release(self.accounts.id_of(call.user), call.id, reason)
            case MarkUnknown(call=call, reason=reason):
                await self.holds.mark_unknown(self.accounts.id_of(call.user), call.id, reason)
        return None

    async def record(
        self,
        user: str,
        service: str,
        usage: Usage,
        *,
        model: str | None = None,
        call_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Receipt:
        """Record an answer that somebody else asked for, and deduct it.

        The same answer, known by its own id, is recorded once, whoever brings it: again it gives the first receipt.
        The same ``call_key`` with the same content gives the first receipt too, with other content it raises
        IdempotencyConflict; without one, other counts under the same answer's id do.
        """
        draft = _Draft(
            user=user,
            service=service_name(service),
            model=model_name(usage.model or model),
            usage=usage,
            metadata=metadata_text(metadata or {}),
            was_held=False,
            id=new_id(self.clock),
            answer=_answer_key(usage),
        )
        if call_key is None:
            return await self._record(draft)
        return await self._record_once(draft, call_key)

    async def tokens_of(self, user: str, answer: str) -> int | None:
        """Give the tokens that a user's recorded answer used in all, or None where no answer of this id is recorded."""
        account = self.accounts.id_of(user)
        known = await entries.find_key(self.database, account, _answer_name(answer))
        record = None if known is None else await usage.find(self.database, account, known.result_id)
        return None if record is None else record.total

    async def close(self) -> None:
        """Write what waits and close the connections."""
        await self.recorder.close()
        await self.holds.close()
        await self.keys.close()
        await self.database.close()

    async def _settle(self, call: Call, reported: Usage) -> Receipt:
        """Record what a call used. An answer that was recorded already, by whatever way, is not recorded again.

        Where two answers bear one id with other counts and meet in the same moment, the id proves nothing and this one
        is recorded without it; its hold was closed by then, so the record counts as late.
        """
        draft = _Draft(
            user=call.user,
            service=call.service,
            model=model_name(reported.model or call.model),
            usage=reported,
            metadata=metadata_text(call.metadata),
            was_held=True,
            id=call.id,
            answer=_answer_key(reported),
        )
        try:
            return await self._record(draft)
        except IdempotencyConflict:
            receipt = await self._record(replace(draft, answer=None))
            if receipt.replayed:
                raise
            return receipt

    async def _record_once(self, draft: _Draft, call_key: str) -> Receipt:
        """Record under a caller's own key. The key is claimed first and names the record's id from then on, so that a
        repetition, also after a crash in between, records nothing twice and loses nothing.
        """
        if not (call_key.isprintable() and 0 < len(call_key) <= _CALL_KEY_LENGTH_MAX):
            raise InvalidInput(
                f"{call_key[:40]!r} is no call id", hint=f"use 1 to {_CALL_KEY_LENGTH_MAX} printable characters"
            )
        account = self.accounts.id_of(draft.user)
        content = digest(draft.service, draft.model, evidence(draft.usage))
        known = await self._patiently(
            lambda: entries.claim_key(self.database, account, f"call:{call_key}", content, draft.id)
        )
        if known is None:
            raise unknown_user(draft.user)
        if known.digest != content:
            raise _other_answer(call_key, known)
        if known.result_id != draft.id:
            dropped = await dropped_by_retention(self.database, known.result_id, account=account)
            if dropped is not None:
                raise dropped
        claimed = replace(draft, id=known.result_id)
        try:
            return await self._record(claimed)
        except IdempotencyConflict:
            # The caller's key tells this call from another whose answer bears the same id with other counts.
            return await self._record(replace(claimed, answer=None))

    async def _record(self, draft: _Draft) -> Receipt:
        if draft.service not in self._services or draft.model not in self._models:
            await self._patiently(lambda: self._services.learn([draft.service]))
            await self._patiently(lambda: self._models.learn([draft.model]))
        row = self._row(draft)
        flushed = await self.recorder.record(row)
        match flushed:
            case Flushed(is_new=True):
                held, total = flushed.hold_amount, row.total
                telemetry.emit("meter.recorded", tokens=total, is_priced=row.cost_nano is not None)
                overrun = max(0, total - held) if held else 0
                return Receipt(row.id, draft.user, draft.model, total, row.cost_nano, flushed.available, held, overrun)
            case Flushed(has_account=False):
                raise unknown_user(draft.user)
            case _:
                return await self._patiently(lambda: self._replay(row, flushed))

    async def _patiently(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Ask the database about a record that must not be lost, as long as the record itself would be tried."""
        return await repeated("meter", ask, seconds=self.recorder.seconds)

    def _row(self, draft: _Draft) -> UsageRow:
        reported, counts = draft.usage, draft.usage.counts
        priced = self.pricing.price(reported, draft.model, usage.moment_of(draft.id))
        return UsageRow(
            account_id=self.accounts.id_of(draft.user),
            id=draft.id,
            service_id=self._services[draft.service],
            model_id=self._models[draft.model],
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
            was_held=draft.was_held,
            response_id=answer_id(reported.response_id),
            anomalies=",".join(reported.anomalies) or None,
            raw=storable(evidence(reported)),
            metadata=draft.metadata,
            key=draft.answer[0] if draft.answer else None,
            digest=draft.answer[1] if draft.answer else None,
        )

    async def _replay(self, row: UsageRow, flushed: Flushed) -> Receipt:
        """Give the receipt of the record that was there first."""
        first = row.id
        if row.key is not None:
            known = await entries.find_key(self.database, row.account_id, row.key)
            if known is None:
                raise RecordingFailed(f"the record of answer {row.response_id!r} cannot be found", hint="try again")
            if known.digest != row.digest:
                raise _other_answer(row.response_id or "", known)
            first = known.result_id
        record = await usage.find(self.database, row.account_id, first)
        if record is None:
            dropped = await dropped_by_retention(self.database, first, account=row.account_id)
            raise dropped or RecordingFailed(f"the record of call {first} cannot be found", hint="try again")
        return _receipt_again(record, flushed.available)


def _other_answer(key: str, known: KeyRow) -> IdempotencyConflict:
    return IdempotencyConflict(
        f"{key!r} was recorded at {known.created_at:%Y-%m-%d %H:%M} UTC with another answer",
        hint="the first record stands; use a new call id for a new answer",
    )


def _answer_key(usage: Usage) -> tuple[str, bytes] | None:
    """Give the key under which an answer is known by its own id, and the digest of its counts.

    Google's responseId is the same in all chunks of a stream and never shared by two answers: 1,154 of 1,156 recorded
    answers carry one. The counts tell a whole answer from a part of it. What reports no counts (a batch or a run that
    is still under way) claims nothing.
    """
    known = answer_id(usage.response_id)
    if known is None or usage.source is Source.NONE:
        return None
    counts = usage.counts
    content = f"{counts.prompt},{counts.candidates},{counts.thoughts},{counts.tool},{usage.total_tokens}"
    return _answer_name(known), hashlib.sha256(content.encode()).digest()


def _answer_name(answer: str) -> str:
    return f"answer:{answer}"


def _receipt_again(record: UsageRecord, available: int) -> Receipt:
    held = record.hold_amount or 0
    return Receipt(
        record.id,
        record.user,
        record.model,
        record.total,
        record.cost_nano,
        available,
        held,
        max(0, record.total - held) if held else 0,
        replayed=True,
    )
