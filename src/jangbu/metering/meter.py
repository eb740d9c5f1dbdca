"""Metering: what drivers of a call's life ask for, done in the ledger.

One ``Metering`` serves one event loop; the SDK runs it on a background thread, the gateway on its own loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from jangbu import telemetry
from jangbu.clock import new_id
from jangbu.domain.flow import Call, Held, LedgerEffect, MarkUnknown, Receipt, Refused, Release, Settle, TakeHold
from jangbu.domain.usage import Usage
from jangbu.errors import (
    DatabaseUnreachable,
    HoldInDoubt,
    IdempotencyConflict,
    InvalidInput,
    NoAccount,
    RecordingFailed,
)
from jangbu.metering import drafts
from jangbu.metering.accounts import Accounts
from jangbu.metering.alerts import Alerts
from jangbu.metering.attached_tags import admitted_metadata
from jangbu.metering.content import digest, metadata_text, model_name, service_name, storable
from jangbu.metering.drafts import Draft
from jangbu.metering.endings import Endings
from jangbu.metering.evidence import evidence, require_answer
from jangbu.metering.first_records import first_record, id_on_its_own
from jangbu.metering.holds import Holds
from jangbu.metering.keys import Keys
from jangbu.metering.numbering import Numbering
from jangbu.metering.people import People
from jangbu.metering.pricing import Pricing
from jangbu.metering.recorder import InSpool, Known, Named, Recorder
from jangbu.metering.refusals import Refusals
from jangbu.metering.resources import Resources
from jangbu.metering.retention import dropped_by_retention
from jangbu.metering.retry import repeated
from jangbu.metering.services import Services
from jangbu.metering.spool import Claim
from jangbu.metering.view_tokens import ViewTokens
from jangbu.metering.webhooks import Webhooks
from jangbu.storage import entries, usage
from jangbu.storage.database import Database
from jangbu.storage.entries import KeyRow
from jangbu.storage.failures import translated
from jangbu.storage.names import Names
from jangbu.storage.usage import Flushed, UsageRow

Result = TypeVar("Result")

_CALL_KEY_LENGTH_MAX = 200


class Metering:
    """The ledger of one project, as the rest of Jangbu uses it."""

    def __init__(  # noqa: PLR0913 - the parts of a ledger
        self,
        *,
        database: Database,
        alerts: Alerts,
        accounts: Accounts,
        holds: Holds,
        keys: Keys,
        resources: Resources,
        recorder: Recorder,
        pricing: Pricing,
        services: Services,
        people: People,
        view_tokens: ViewTokens,
        webhooks: Webhooks,
        refusals: Refusals,
    ) -> None:
        self.database = database
        self.clock = accounts.clock
        self.alerts = alerts
        self.webhooks = webhooks
        self._watch = webhooks.watch
        self.refusals = refusals
        self.accounts = accounts
        self.holds = holds
        self.absence = holds.absence
        self.keys = keys
        self.resources = resources
        self.recorder = recorder
        self.pricing = pricing
        self.spooling = recorder.spooling
        """Where records wait while the database is away, if anywhere."""
        self._endings = Endings(holds, self.spooling)
        self.services = services
        self.members, self.sessions, self.audit = people.members, people.sessions, people.audit
        self.view_tokens = view_tokens
        self._numbering = Numbering(services, Names(database, "model"))

    async def execute(self, effect: LedgerEffect) -> Held | Refused | Receipt | None:
        """Do one step of a call's life, durably. See ``domain.flow`` for what each step means."""
        match effect:
            case TakeHold(call=call):
                # What a record could not hold is refused here, before the call: afterwards it must be recorded.
                if call.service not in self.services.names:
                    await self.briefly(lambda: self.services.admit(call.service))
                admitted_metadata(call.metadata)
                return await self._hold(effect)
            case Settle(call=call, usage=reported):
                return await self._leaving(call.id, self._settle(call, reported))
            case Release(call=call, reason=reason) | MarkUnknown(call=call, reason=reason):
                account, is_unknown = self.accounts.id_of(call.user), isinstance(effect, MarkUnknown)
                await self._leaving(call.id, self._endings.end(account, call.id, reason, is_unknown=is_unknown))
        return None

    async def end(self, effect: LedgerEffect) -> Held | Refused | Receipt | None:
        """End a call as ``execute`` does, for whoever has its answer in hand and passes it on when this returns.

        Where somebody settled the call meanwhile by evidence that says otherwise, that record stands: there is no
        receipt then, and it is told what is not recorded.
        """
        try:
            return await self.execute(effect)
        except IdempotencyConflict as conflict:
            if not isinstance(effect, Settle):
                raise
            telemetry.warn(
                "recorder.failed",
                str(conflict),
                usage_id=str(effect.call.id),
                account_id=str(self.accounts.id_of(effect.call.user)),
                total=effect.usage.total_tokens,
                evidence=storable(evidence(effect.usage)),
            )
            return None

    def leave(self, call: UUID) -> None:
        """Give back the room in the spool of a call that this process does not settle, or that it has settled."""
        if self.spooling is not None:
            self.spooling.rooms.give(call)

    def refused(self, user: str) -> None:
        """Note that a call was not made because the user's balance does not cover it."""
        account = self.accounts.id_of(user)
        self.refusals.note(account)
        if self._watch is not None:
            self._watch.refused(account)

    async def briefly(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Ask the database something before a call is made, for as long as a hold is waited for.

        Raises DatabaseUnreachable, without asking where it has been away for longer.
        """
        return await self.absence.outlasted("meter", ask)

    async def _leaving(self, call: UUID, ending: Awaitable[Result]) -> Result:
        """Give a call's room back when its end is written; who is cancelled meanwhile needs it to write it again."""
        try:
            result = await ending
        except Exception:
            self.leave(call)
            raise
        self.leave(call)
        return result

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
        IdempotencyConflict; without one, other counts under the same answer's id do. Where the database is away the
        record waits in the spool, and its key is looked at when it drains.

        Raises InvalidAnswer for an empty answer.
        """
        require_answer(usage)
        named, content = model_name(usage.model or model), admitted_metadata(metadata or {})
        key, made = drafts.answer_key(usage), new_id(self.clock)
        draft = Draft(user, service_name(service), named, usage, content, was_held=False, id=made, answer=key)
        if call_key is None:
            return await self._record(draft)
        return await self._record_once(draft, call_key)

    async def tokens_of(self, user: str, answer: str) -> int | None:
        """Give the tokens that a user's recorded answer used in all, or None where no answer of this id is recorded."""
        account = self.accounts.id_of(user)
        known = await entries.find_key(self.database, account, drafts.answer_name(answer))
        record = None if known is None else await usage.find(self.database, account, known.result_id)
        return None if record is None else record.total

    async def close(self) -> None:
        """Write what waits and close the connections. What the database does not take stays in the spool."""
        await self.recorder.close()
        await self._endings.close()
        if self.spooling is not None:
            await self.spooling.close()
        await self.holds.close()
        await self.keys.close()
        self.members.close()
        await self.webhooks.stop()
        await self.refusals.stop()
        await self.alerts.stop()
        await self.database.close()

    async def _hold(self, effect: TakeHold) -> Held | Refused:
        """Take a hold, and room in the spool for the record before that: a call that has none is not made."""
        call, account = effect.call, self.accounts.id_of(effect.call.user)
        if self.spooling is not None:
            await self.spooling.rooms.take(call.id)
        taken: Held | Refused | None = None
        try:
            taken = await self.holds.take(account, effect)
        except HoldInDoubt:
            self._endings.give_back_later(account, call.id, "the database did not say in time that it was taken")
            raise
        except asyncio.CancelledError:
            # What was asked for goes on without its caller.
            self._endings.give_back_later(account, call.id, "the call was ended before it was made")
            raise
        finally:
            if not isinstance(taken, Held):
                self.leave(call.id)
        if isinstance(taken, Refused) and (effect.goes_on_with is None or taken.available < effect.goes_on_with):
            self.refused(call.user)
        return taken

    async def _settle(self, call: Call, reported: Usage) -> Receipt:
        """Record what a call used. An answer that was recorded already, by whatever way, is not recorded again; another
        answer of a call that was settled before is recorded on its own, where both bear ids.

        Raises IdempotencyConflict where nothing but its counts tells it from the one that settled the call.
        """
        draft = Draft(
            user=call.user,
            service=call.service,
            model=model_name(reported.model or call.model),
            usage=reported,
            metadata=metadata_text(call.metadata),
            was_held=True,
            id=call.id,
            answer=drafts.answer_key(reported),
        )
        return await self._record(draft)

    async def _record_once(self, draft: Draft, call_key: str) -> Receipt:
        """Record under a caller's own key. The key is claimed first and names the record's id from then on, so that a
        repetition, also after a crash in between, records nothing twice and loses nothing.
        """
        if not (call_key.isprintable() and 0 < len(call_key) <= _CALL_KEY_LENGTH_MAX):
            raise InvalidInput(
                f"{call_key[:40]!r} is no call id", hint=f"use 1 to {_CALL_KEY_LENGTH_MAX} printable characters"
            )
        claim = Claim(drafts.call_name(call_key), digest(draft.service, draft.model, evidence(draft.usage)))
        draft = replace(draft, claim=claim)
        known = await self._claimed(draft, claim)
        if known is None:
            return drafts.receipt_spooled(draft, self._row(draft))
        if known.digest != claim.digest:
            raise drafts.other_answer(repr(call_key), known)
        if known.result_id != draft.id:
            account = self.accounts.id_of(draft.user)
            dropped = await dropped_by_retention(self.database, known.result_id, account=account)
            if dropped is not None:
                raise dropped
        claimed = replace(draft, id=known.result_id)
        try:
            return await self._record(claimed)
        except IdempotencyConflict:
            # The caller's key tells this call from another whose answer bears the same id with other counts.
            return await self._record(replace(claimed, answer=None))

    async def _claimed(self, draft: Draft, claim: Claim) -> KeyRow | None:
        """Claim a caller's key; give what it stands for, or None where the record is in the spool, and claims it when
        it drains. Raises NotFound for a user without an account.
        """
        account, spooling = self.accounts.id_of(draft.user), self.spooling

        async def attempt() -> KeyRow:
            known = await entries.claim_key(self.database, account, claim.key, claim.digest, draft.id)
            if known is None:
                raise NoAccount(draft.user)
            return known

        if spooling is None:
            return await self._patiently(attempt)
        if not spooling.is_away:
            try:
                with translated():
                    return await repeated("meter", attempt, seconds=spooling.after_seconds)
            except DatabaseUnreachable as error:
                self.absence.note(error)
        if await self.recorder.keep(self._named(draft)):
            return None
        return await self._patiently(attempt)

    async def _record(self, draft: Draft) -> Receipt:
        if not await self._learn_names(draft):
            return drafts.receipt_spooled(draft, self._row(draft))
        named = self._named(draft)
        row = named.row
        outcome = await self.recorder.record(named)
        match outcome:
            case Flushed(is_new=True):
                telemetry.emit("meter.recorded", tokens=row.total, is_priced=row.cost_nano is not None)
                if self._watch is not None:
                    self._watch.recorded(row.account_id, outcome.available)
                return drafts.receipt_of(draft, row, outcome)
            case InSpool():
                return drafts.receipt_spooled(draft, row)
            case Flushed(has_account=False):
                raise NoAccount(draft.user)
            case Known(flushed=flushed, copy=copy):
                return await self._of_copy(draft, row, flushed, copy)
            case _:
                return await self._known_already(draft, named, outcome)

    async def _of_copy(self, draft: Draft, row: UsageRow, flushed: Flushed, copy: int) -> Receipt:
        """Give the receipt of the record that was there first, and tell the spool what becomes of the copy."""
        assert self.spooling is not None, "who has a copy has a spool"
        copies = self.spooling.copies
        try:
            receipt = await self._first_receipt(draft, row, flushed)
        except IdempotencyConflict:
            copies.refuse([copy])
            raise
        except DatabaseUnreachable:
            copies.let_wait([copy])
            return drafts.receipt_spooled(draft, row)
        except BaseException:
            copies.let_wait([copy])
            raise
        copies.settle([copy])
        return receipt

    async def _known_already(self, draft: Draft, named: Named, flushed: Flushed) -> Receipt:
        """Give the receipt of the record that was there first; where the database does not say in time which that is,
        the spool finds out later.
        """
        try:
            return await self._first_receipt(draft, named.row, flushed)
        except DatabaseUnreachable:
            if self.spooling is None or not await self.recorder.keep(named):
                raise
            return drafts.receipt_spooled(draft, named.row)

    async def _first_receipt(self, draft: Draft, row: UsageRow, flushed: Flushed) -> Receipt:
        """Give the receipt of the record that was there first, or of the row's own where it is another answer's, or of
        the answers of a batch that no other record is charged for.

        Raises IdempotencyConflict.
        """
        seconds = self.recorder.seconds if self.spooling is None else self.spooling.after_seconds
        with translated():
            first = await repeated("meter", lambda: first_record(self.database, row), seconds=seconds)
            if first.is_another and row.was_held:
                return await self._record(replace(draft, id=id_on_its_own(row)))
            if (rest := drafts.without(draft, first.charged)) is not None:
                return await self._record(rest)
            if first.conflict is not None:
                raise first.conflict
            if first.record is None:
                dropped = await dropped_by_retention(self.database, first.id, account=row.account_id)
                raise dropped or RecordingFailed(f"the record of call {first.id} cannot be found", hint="try again")
        return drafts.receipt_again(first.record, flushed.available)

    async def _learn_names(self, draft: Draft) -> bool:
        """Have the names of a record numbered; False where the record is in the spool, because they cannot be now."""
        if self._numbering.knows(draft):
            return True
        spooling = self.spooling
        if spooling is not None:
            if not spooling.is_away and await self._numbering.learn_in_time(draft, spooling):
                return True
            if await self.recorder.keep(self._named(draft)):
                return False
        await self._patiently(lambda: self._numbering.learn(draft))
        return True

    async def _patiently(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Ask the database about a record that must not be lost, as long as the record itself would be tried."""
        with translated():
            return await repeated("meter", ask, seconds=self.recorder.seconds)

    def _named(self, draft: Draft) -> Named:
        return Named(self._row(draft), draft.user, draft.service, draft.model, draft.claim)

    def _row(self, draft: Draft) -> UsageRow:
        priced = self.pricing.price(draft.usage, draft.model, usage.moment_of(draft.id))
        return draft.row(self.accounts.id_of(draft.user), self._numbering.of(draft), priced)
