"""One gateway process of the simulation: the real parts, on a clock and a network that are not."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from jangbu.alerts.channels import Log
from jangbu.alerts.local_outbox import LocalOutbox
from jangbu.domain.flow import Answered, Bounds, Call, Lost, Outcome, Rejected, Settle, ShortBalance
from jangbu.domain.usage import Counts, Source, Surface, Usage
from jangbu.errors import IdempotencyConflict, InsufficientBalance, JangbuError, UncountedInput
from jangbu.gateway.calls import MeteredCall
from jangbu.gateway.upstream import UpstreamFailure
from jangbu.metering.absence import Absence
from jangbu.metering.accounts import Accounts
from jangbu.metering.alert_bounds import AlertBounds
from jangbu.metering.alert_delivery import Delivery
from jangbu.metering.alerts import Alerts
from jangbu.metering.draining import Draining
from jangbu.metering.holds import Holds
from jangbu.metering.keys import Keys
from jangbu.metering.locked_balances import LockedBalances
from jangbu.metering.meter import Metering
from jangbu.metering.people import people_of
from jangbu.metering.pricing import Pricing
from jangbu.metering.recorder import Recorder
from jangbu.metering.refusals import Refusals
from jangbu.metering.resources import Resources
from jangbu.metering.services import Services
from jangbu.metering.spooling import Spooling
from jangbu.metering.view_tokens import ViewTokens
from jangbu.metering.webhooks import Webhooks
from jangbu.storage.database import Database
from jangbu.storage.names import ServiceNames
from tests.metering.spool.memory_disk import MemoryDisk
from tests.simulation.auditor import GIVEN_UP
from tests.simulation.book import EPOCH
from tests.simulation.loop import OWNER, VirtualLoop
from tests.simulation.machine import SPOOLS, ProcessDisk
from tests.simulation.plan import Answer, CallPlan, HandedPlan, Mode, Plan, TopUp
from tests.simulation.pool import Pool, never
from tests.simulation.server import Server

PROJECT = "simulated"
_STOP_SECONDS = 60.0


class ProcessClock:
    """The clock of a process: it may be wrong by any amount."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.offset = 0.0

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._loop.now + self.offset)


class Parts:
    """Which parts a process is made of; a mutant puts a wrong one in."""

    metering: type[Metering] = Metering
    recorder: type[Recorder] = Recorder
    holds: type[Holds] = Holds
    call: type[MeteredCall] = MeteredCall
    spooling: type[Spooling] = Spooling
    disk: type[ProcessDisk] = ProcessDisk
    server: type[Server] = Server
    book: Any = None


class Process:
    """``fuel`` is how many steps it lives for; None for one that nothing kills."""

    def __init__(self, world: Any, number: int, slot: int, fuel: int | None) -> None:
        self.world = world
        self.number = number
        self.fuel = fuel
        self.is_alive = True
        self.is_ready = False
        self.is_stopping = False
        self.clock = ProcessClock(world.loop)
        self.pool = Pool(world.server, self, world.plan.pool)
        self.machine: MemoryDisk = world.machine_of(slot)
        self.disk: ProcessDisk = world.parts.disk(self.machine, self)
        self.serving: list[asyncio.Task[None]] = []

    def reaches(self, what: str) -> bool:
        """Note a step; tell whether the process died at it, or was dead already."""
        if not self.is_alive:
            return True
        self.world.note(self.number, what)
        if self.fuel is not None:
            self.fuel -= 1
            if self.fuel <= 0:
                self.world.kill(self)
                return True
        return False

    def spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> asyncio.Task[None]:
        """Begin something in the process: it ends with it."""
        context = copy_context()
        context.run(OWNER.set, self)
        task: asyncio.Task[None] = self.world.loop.create_task(self._watched(work, *arguments), context=context)
        self.serving.append(task)
        return task

    async def _watched(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        try:
            await work(*arguments)
        except Exception as error:
            if self.is_alive:
                self.world.auditor.say(f"unexpected: {type(error).__name__}: {error}")

    async def open(self) -> None:
        """Put the parts together, as ``wiring`` does; without the price book there is no ledger, so wait for it."""
        plan: Plan = self.world.plan
        parts: Parts = self.world.parts
        database = Database(self.pool)
        absence, locked = Absence(plan.hold_wait_seconds), LockedBalances(database)
        spooling = self._spooling(plan, database, absence, locked)
        self.metering = parts.metering(
            database=database,
            accounts=Accounts(database, self.clock, project=PROJECT, retry_seconds=plan.retry_seconds),
            holds=parts.holds(
                database,
                project=PROJECT,
                lanes=plan.lanes,
                hold_seconds=plan.hold_seconds,
                retry_seconds=plan.retry_seconds,
                absence=absence,
                locked=locked,
            ),
            keys=Keys(database, self.clock, project=PROJECT),
            resources=Resources(database, project=PROJECT, retry_seconds=plan.retry_seconds),
            recorder=parts.recorder(
                database,
                project=PROJECT,
                lanes=plan.lanes,
                batch_max=4,
                seconds=plan.retry_seconds,
                spooling=spooling,
                locked=locked,
            ),
            pricing=Pricing(database, self.clock, project=PROJECT),
            services=Services(ServiceNames(database), most=100),
            people=people_of(database, self.clock, project=PROJECT),
            view_tokens=ViewTokens(database, self.clock, project=PROJECT),
            alerts=self._alerts(database),
            webhooks=Webhooks(database, self.clock, project=PROJECT, telling=None),
            refusals=Refusals(database, self.clock, project=PROJECT),
        )
        while True:
            try:
                await self.metering.pricing.refresh()
                break
            except JangbuError:
                await asyncio.sleep(1.0)
        if spooling is not None:
            with suppress(Exception):
                await spooling.adopt()
            if not self.is_alive:
                return
            spooling.start()
        self.is_ready = True

    async def sweep(self) -> None:
        """Do the sweeper's duties that the life of a call depends on."""
        for duty in (
            self.metering.holds.expire,
            self.metering.holds.close_findings,
            self.metering.accounts.expire_grants,
        ):
            try:
                await duty()
            except JangbuError as error:
                self.world.note(self.number, f"sweep failed: {error.code}")

    async def stop(self) -> None:
        """Stop in order: calls under way are broken off and given a while to end, what waits is written."""
        self.is_stopping = True
        others = [task for task in self.serving if task is not asyncio.current_task() and not task.done()]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_STOP_SECONDS)
        await self.metering.close()
        self.world.kill(self)

    async def serve(self, plan: CallPlan) -> None:
        """Serve one call as the gateway does: hold, send, settle, and only then the last byte."""
        plan.id = self.world.new_id(self.clock)
        self.world.auditor.calls[plan.id] = plan
        bounds = Bounds(plan.input_most, plan.output_most, plan.output_chosen)
        short = ShortBalance.CLAMP if plan.clamps else ShortBalance.REFUSE
        call = Call(plan.id, plan.user, "text_generation", plan.model, bounds, short)
        metered = self.world.parts.call(self.metering, call)
        try:
            async with metered.held(lambda: self._count(plan)):
                outcome, failure = await self._ask(plan, metered)
                receipt = await metered.finish(outcome)
            if failure is not None:
                raise failure
            if isinstance(outcome, Answered) and not self.reaches("last byte"):
                self.world.spooled += receipt is not None and receipt.available is None
                self.world.auditor.released(plan, receipt)
                if plan.again and receipt is not None:
                    await self._settle_again(plan, Settle(call, outcome.usage))
        except (InsufficientBalance, UncountedInput, UpstreamFailure) as told:
            self.world.note(self.number, f"told {told.code}")
        except JangbuError as told:
            if plan.reported is None or plan.is_released:
                self.world.told(self.number, told)
            else:
                self.world.withheld(self.number, plan, told)
        except asyncio.CancelledError:
            self.world.note(self.number, "broken off")
            # Whoever is ended a second time ends what is being written down after the first.
            task = asyncio.current_task()
            plan.is_owed = plan.reported is not None and task is not None and task.cancelling() == 1

    async def _settle_again(self, plan: CallPlan, settle: Settle) -> None:
        """Settle what was settled. Where an operator charged for no answer of it meanwhile, that is what is told."""
        try:
            await self.metering.execute(settle)
        except IdempotencyConflict as told:
            if all(charged == plan.answer for charged in plan.charged):
                raise
            self.world.note(self.number, f"told {told.code}")

    async def hand_over(self, plan: HandedPlan) -> None:
        """Record an answer that the app got by itself."""
        try:
            receipt = await self.metering.record(
                plan.user, "text_generation", usage_of(plan.answer, self.world.model_of(plan)), call_key=plan.key
            )
        except JangbuError as told:
            self.world.told(self.number, told)
        else:
            plan.is_told = True
            if receipt.charged_tokens != plan.answer.total:
                self.world.auditor.say(f"who handed over {plan.answer.serial} is told {receipt.charged_tokens}")

    async def top_up(self, plan: TopUp) -> None:
        """Grant what a user bought."""
        try:
            expires = None if plan.lives is None else EPOCH + timedelta(seconds=plan.at + 60 + plan.lives)
            await self.metering.accounts.grant(plan.user, plan.amount, key=plan.key, expires_at=expires)
        except JangbuError as told:
            self.world.told(self.number, told)
        else:
            plan.is_told = True

    async def resolve(self, plan: CallPlan, evidence: Answer | None) -> None:
        """Settle a call by evidence, or give its hold back, as an operator does."""
        call = Call(plan.id, plan.user, "text_generation", plan.model, Bounds(0, 0, output_chosen=True))
        try:
            if evidence is None:
                plan.given_up = True
                await self.metering.holds.release(self.metering.accounts.id_of(plan.user), plan.id, GIVEN_UP)
            else:
                plan.evidence.append(evidence)
                await self.metering.execute(Settle(call, usage_of(evidence, plan.model)))
                plan.charged.append(evidence)
        except IdempotencyConflict as told:
            self.world.note(self.number, f"told {told.code}")
            if plan.wrong not in plan.evidence:
                self.world.auditor.say(f"an operator who is not mistaken is told: {told}")
        except JangbuError as told:
            self.world.told(self.number, told)

    def _spooling(self, plan: Plan, database: Database, absence: Absence, locked: LockedBalances) -> Spooling | None:
        if not plan.disks.spool_bytes:
            return None
        spooling: Spooling = self.world.parts.spooling(
            SPOOLS,
            Draining(database, locked).write,
            clock=self.clock,
            bytes_max=plan.disks.spool_bytes,
            keep_seconds=plan.disks.keep_seconds,
            after_seconds=plan.disks.after_seconds,
            every_record=plan.disks.every_record,
            disk=self.disk,
            absence=absence,
        )
        locked.on_free = spooling.drain_anew
        return spooling

    def _alerts(self, database: Database) -> Alerts:
        """Give what raises alerts; nobody listens here, and nothing is delivered."""
        outbox, log, bounds = LocalOutbox(None), Log("en"), AlertBounds()
        delivery = Delivery(
            database, self.clock, project=PROJECT, node="", outbox=outbox, log=log, channels=(), bounds=bounds
        )
        return Alerts(
            database,
            self.clock,
            project=PROJECT,
            node="",
            outbox=outbox,
            log=log,
            bounds=bounds,
            delivery=delivery,
        )

    async def _count(self, plan: CallPlan) -> int | None:
        if self.reaches("count"):
            await never()
        await asyncio.sleep(plan.seconds / 10)
        return 40 if plan.input_most is None else plan.input_most // 2

    async def _ask(self, plan: CallPlan, metered: MeteredCall) -> tuple[Outcome, UpstreamFailure | None]:
        """Make the call; give what it means, and what broke after something was reported."""
        if self.reaches("send"):
            await never()
        self.world.auditor.sending(self.world.account(plan.user), plan)
        plan.is_sent = True
        metered.leaves()
        if plan.mode is Mode.REFUSED:
            plan.cost_nothing = True
            raise UpstreamFailure("connection refused", may_have_left=False)
        await asyncio.sleep(plan.seconds)
        if self.reaches("answer"):
            await never()
        if plan.mode is Mode.REJECTED:
            plan.cost_nothing = True
            return Rejected("the provider answered 429"), None
        if plan.mode is Mode.LOST:
            return Lost("the answer broke off before anything was reported"), None
        plan.reported = plan.answer
        if plan.mode is Mode.SILENT:
            return Answered(usage_of(plan.answer, plan.model, Source.NONE)), None
        if plan.mode is Mode.PARTIAL:
            failure = UpstreamFailure("the provider broke off", may_have_left=True)
            return Answered(usage_of(plan.answer, plan.model, Source.PARTIAL)), failure
        return Answered(usage_of(plan.answer, plan.model)), None


def usage_of(answer: Answer, model: str, source: Source = Source.REPORTED) -> Usage:
    """Give what an answer reports."""
    total = answer.total
    prompt = total // 3
    return Usage(
        Surface.GENERATE_CONTENT,
        Counts(prompt=prompt, candidates=total - prompt, total=total),
        source,
        model,
        answer.response_id,
        raw=({"totalTokenCount": total, "serial": answer.serial},),
    )


def call_id(moment: datetime, random_bits: int) -> UUID:
    """Make a UUIDv7 out of a moment and 74 random bits."""
    milliseconds = int(moment.timestamp() * 1000)
    high, low = random_bits >> 62, random_bits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)
