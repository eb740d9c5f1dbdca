"""One history: processes, a database and callers, carried out from a seed on virtual time, and audited."""

import asyncio
import hashlib
import json
import logging
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from jangbu import telemetry
from jangbu.domain.ledger import account_id
from jangbu.errors import DatabaseUnreachable, JangbuError, RecordingFailed, SpoolFull, SpoolUnusable
from jangbu.prices import shipped
from tests.metering.spool.memory_disk import MemoryDisk
from tests.simulation.auditor import Auditor
from tests.simulation.book import Book
from tests.simulation.loop import VirtualLoop
from tests.simulation.machine import waiting_records
from tests.simulation.plan import PRICED, UNPRICED, Answer, CallPlan, HandedPlan, draw
from tests.simulation.process import PROJECT, Parts, Process, ProcessClock, call_id
from tests.simulation.standby import fail_over
from tests.simulation.tables import MONEY, Account, Balance, Row
from tests.simulation.weather import Weather

_EXPECTED = (RecordingFailed, DatabaseUnreachable, SpoolFull, SpoolUnusable)
_TOO_LATE = re.compile(r"(call [0-9a-f-]{36} is (unknown|released|expired)|the expiry has passed) already")
"""What a caller is told whose hold was ended, or whose purchase expired, before the ledger knew of it."""
_AMPLE_BYTES = 2**20
_KEPT_SECONDS = 600
"""Longer than a history."""
_SETTLING_SECONDS = 100.0
"""Longer than anything that was begun can still be under way."""


@dataclass(frozen=True, slots=True)
class History:
    """How a seed went. ``digest`` is the same whenever the same seed is carried out by the same code."""

    seed: int
    wrong: tuple[str, ...]
    trace: tuple[tuple[Any, ...], ...]
    facts: dict[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(self.trace).encode()).hexdigest()


def simulate(seed: int, parts: type[Parts] = Parts) -> History:
    """Carry out a seed."""
    before, silenced = random.getstate(), logging.root.manager.disable
    random.seed(seed)
    logging.disable()
    try:
        return World(seed, parts).run()
    finally:
        logging.disable(silenced)
        random.setstate(before)


class World:
    """What is shared by all processes, and what happens to them."""

    def __init__(self, seed: int, parts: type[Parts]) -> None:
        self.plan, self.chance = draw(seed)
        self.parts = parts
        self.loop = VirtualLoop()
        self.loop.set_exception_handler(self._unexpected)
        self.book: Book = (parts.book or Book)(self.loop.time, prices())
        self.auditor = Auditor(self.book, self.plan)
        self.server = parts.server(self.loop, self.book, Weather.drawn(self.chance), self._committed)
        self._machines = [self._machine() for _ in range(1 if self.plan.disks.one_machine else self.plan.slots)]
        self.processes: list[Process] = []
        self.at_slot: dict[int, Process] = {}
        self.is_calm = False
        self._trace: list[tuple[Any, ...]] = []
        self.deaths = 0
        self.spooled = 0
        self.brought_back = 0
        self.dropped = 0
        """How often a spool had no room for what it should keep, or only by giving up what it had kept."""

    def run(self) -> History:
        self._found(self.book)
        ends = telemetry.subscribe(self._note_dropped, "spool.kept_dropped", "spool.not_copied")
        try:
            self.loop.run(self._live())
        finally:
            ends()
        facts = {
            "calls": len(self.plan.calls),
            "recorded": sum(len(account.usage) for account in self.book.accounts.values()),
            "statements": self.server.statements,
            "deaths": self.deaths,
            "spooled": self.spooled,
            "brought_back": self.brought_back,
            "locked_out": self.server.given_up,
            "restarts": self.server.incarnation,
            "unknown": sum(
                kind == "unknown_outcome" for account in self.book.accounts.values() for _, kind in account.findings
            ),
        }
        return History(self.plan.seed, tuple(self.auditor.wrong), tuple(self._trace), facts)

    def note(self, who: int, what: str) -> None:
        self._trace.append((round(self.loop.now, 6), who, what))

    def account(self, user: str) -> Account:
        return self.book.accounts[account_id(PROJECT, user)]

    def new_id(self, clock: ProcessClock) -> UUID:
        return call_id(clock.now(), self.chance.getrandbits(74))

    def model_of(self, handed: HandedPlan) -> str:
        return PRICED if handed.answer.serial % 2 else UNPRICED

    def withheld(self, number: int, call: CallPlan, error: JangbuError) -> None:
        """Note that a client does not get an answer that came: with a spool on a sound disk it always does."""
        disks = self.plan.disks
        if disks.spool_bytes and not disks.faults and disks.capacity >= _AMPLE_BYTES:
            self.auditor.say(f"call {self.auditor.number(call.id)} was answered, and its client is told: {error}")
        self.told(number, error)

    def _note_dropped(self, event: str, _facts: object) -> None:
        self.dropped += 1
        if self.plan.disks.is_ample:
            self.auditor.say(f"there was room for everything, and {event}")

    def told(self, number: int, error: JangbuError) -> None:
        """Note an error that a caller is told; only some may be."""
        self.note(number, f"told {error.code}")
        is_expected = isinstance(error, _EXPECTED) or _TOO_LATE.fullmatch(error.message) is not None
        is_closed = error.message == "the ledger is closed" and self.processes[number].is_stopping
        if not is_expected and not is_closed:
            self.auditor.say(f"a caller is told: {type(error).__name__}: {error}")

    def machine_of(self, slot: int) -> MemoryDisk:
        return self._machines[slot % len(self._machines)]

    def kill(self, process: Process) -> None:
        """Let a process vanish, alone or with the power of its machine; another takes its place after a while."""
        if self.is_calm or self.chance.random() >= self.plan.disks.power_cuts:
            self._end(process)
            return
        self.note(process.number, "power cut")
        for each in [each for each in self.at_slot.values() if each.machine is process.machine]:
            self._end(each)
        process.machine.lose_power(self.chance)

    def _end(self, process: Process) -> None:
        process.is_alive = False
        self.deaths += 1
        self.note(process.number, "dies")
        self.loop.drop(lambda owner: owner is process)
        process.pool.hang_up()
        process.disk.unlock()
        slot = next(slot for slot, each in self.at_slot.items() if each is process)
        del self.at_slot[slot]
        self.server.after(self.chance.random() * 3, self._start, slot)

    def _machine(self) -> MemoryDisk:
        return MemoryDisk(self.plan.disks.capacity, self.chance if self.plan.disks.writes_in_parts else None)

    def _found(self, book: Book) -> None:
        for user, tokens in self.plan.balances.items():
            id_ = account_id(PROJECT, user)
            book.run("account_create", (id_, PROJECT, user))
            book.run("partition_make", ([book.now()],))
            if user in self.plan.with_money:
                book.accounts[id_].balances[MONEY] = Balance()
            if tokens:
                grant = (id_, 1, "grant", tokens, UUID(int=1), None, "key:first", b"", None, "purchase", 0, None)
                book.run("entry_post", grant)

    async def _live(self) -> None:
        for account in self.book.accounts.values():
            self.auditor.look(account)
        for slot in range(self.plan.slots):
            self._start(slot)
        self._schedule_callers()
        self._schedule_faults()
        await asyncio.sleep(self.plan.window + 45.0)
        await self._settle_down()
        for process in self.processes:
            process.is_alive = False

    def _schedule_callers(self) -> None:
        plan, after = self.plan, self.server.after
        for call in plan.calls:
            after(call.at, self._begin, call)
        for handed in plan.handed:
            for wait, slot in handed.attempts:
                after(handed.at + wait, self._repeat, slot, handed, Process.hand_over)
        for top_up in plan.top_ups:
            for wait, slot in top_up.attempts:
                after(top_up.at + wait, self._repeat, slot, top_up, Process.top_up)
        for at, slot in plan.sweeps:
            after(at, self._do, slot, Process.sweep)
        after(plan.window * self.chance.random() * 2, self._operate)

    def _schedule_faults(self) -> None:
        plan, after = self.plan, self.server.after
        for at, seconds in plan.crashes:
            after(at, self._crash, seconds)
        for at, user, seconds in plan.locks:
            after(at, self._lock, user, seconds)
        for at, slot in plan.kills:
            after(at, self._kill_at, slot)
        for at, slot in plan.stops:
            after(at, self._do, slot, Process.stop)
        for at, slot, seconds in plan.jumps:
            after(at, self._jump, slot, seconds)
        for at, slot, operation, number in plan.disks.faults:
            after(at, self._break_disk, slot, operation, number)

    async def _settle_down(self) -> None:
        """Let everything come to its end, sweep, and compare; then settle by evidence what is unknown, and compare."""
        self.is_calm = True
        self.server.weather.clear_up()
        self.server.come_back()
        for disk in self._machines:
            disk.capacity = 2**40
            disk.fail.clear()
        for process in self.at_slot.values():
            process.fuel = None
        await asyncio.sleep(self.plan.hold_seconds + _SETTLING_SECONDS)
        for process in self.at_slot.values():
            if any(not task.done() for task in process.serving):
                self.auditor.say(f"somebody waits for process {process.number}, and is never told anything")
        await self._fail_over()
        await self._sweep()
        self.auditor.end()
        if not self.plan.disks.faults and (waiting := await self._waiting()):
            self.auditor.say(f"{waiting} records wait in spools, and the database is there")
        self._resolve_all()
        await asyncio.sleep(5.0)
        await self._sweep()
        self.auditor.end()
        for account in self.book.accounts.values():
            self.auditor.look(account)
            if any(balance.held for balance in account.balances.values()):
                self.auditor.say(f"{account.user}: tokens are held after every call was resolved")

    async def _waiting(self) -> int:
        """Give how many records wait in spools.

        On a disk that the spools fill it may not be noted that the database has a record: its process knows it, and
        whoever comes after that sends the record again, which is harmless.
        """
        if self.plan.disks.capacity >= _AMPLE_BYTES:
            return sum(map(waiting_records, self._machines))
        spoolings = [each.metering.spooling for each in self.at_slot.values() if each.is_ready]
        return sum([(await each.backlog()).waiting for each in spoolings if each is not None])

    async def _sweep(self) -> None:
        slot = next(slot for slot in self.at_slot if self._ready(slot) is not None)
        self._do(slot, Process.sweep)
        await asyncio.sleep(5.0)

    def _start(self, slot: int) -> None:
        fuel = None if self.is_calm or not self.plan.fuel else self.plan.fuel.pop()
        process = Process(self, len(self.processes), slot, fuel)
        self.processes.append(process)
        self.at_slot[slot] = process
        self.note(process.number, "starts")
        process.spawn(process.open)

    def _begin(self, call: CallPlan, patience: int = 20) -> None:
        """Have a process serve a call; its client knocks again for a while where there is none."""
        process = self._ready(call.slot)
        if process is None:
            if patience and not self.is_calm:
                self.server.after(0.3, self._begin, call, patience - 1)
            return
        task = process.spawn(process.serve, call)
        for seconds in call.cancelled_at:
            self.server.after(seconds, self._break_off, process, task)

    def _break_off(self, process: Process, task: "asyncio.Task[None]") -> None:
        if process.is_alive and not task.done():
            task.cancel()

    def _repeat(self, slot: int, plan: Any, work: Callable[..., Any]) -> None:
        process = self._ready(slot)
        if process is not None and (not plan.is_told or self.chance.random() < 0.3):
            process.spawn(work, process, plan)

    def _kill_at(self, slot: int) -> None:
        process = self.at_slot.get(slot)
        if process is not None and not self.is_calm:
            self.kill(process)

    def _do(self, slot: int, work: Callable[..., Any]) -> None:
        process = self._ready(slot)
        if process is not None:
            process.spawn(work, process)

    def _jump(self, slot: int, seconds: float) -> None:
        process = self.at_slot.get(slot)
        if process is not None:
            process.clock.offset += seconds

    def _break_disk(self, slot: int, operation: str, number: int) -> None:
        self.machine_of(slot).fail.setdefault(operation, []).append(number)

    def _crash(self, seconds: float) -> None:
        if self.server.is_up:
            self.note(-1, "the database dies")
            self.server.die(seconds)

    def _lock(self, user: str, seconds: float) -> None:
        self.note(-1, f"{user}'s balance is locked")
        self.server.lock_by_hand(self.account(user), seconds)

    def _operate(self) -> None:
        """Have an operator look at the calls of unknown outcome: rightly, too early, or with the wrong evidence; who
        is mistaken brings that for calls that were answered, too.
        """
        for call in self.auditor.calls.values():
            if call.is_released and call.wrong is not None:
                self._resolve(call, True, call.wrong)
            hold = self.account(call.user).holds.get(call.id)
            if hold is not None and hold.state == "unknown" and self.chance.random() < 0.5:
                self._resolve(call, self.chance.random() < 0.6, call.wrong or call.answer)

    async def _fail_over(self) -> None:
        """Where every record was kept, see whether a standby that has none of them is given all that was told."""
        disks = self.plan.disks
        is_kept = disks.every_record and disks.spool_bytes and disks.keep_seconds > _KEPT_SECONDS and not self.dropped
        if not is_kept or disks.faults or disks.capacity < _AMPLE_BYTES or self.plan.jumps:
            return
        standby = Book(self.loop.time, prices())
        self._found(standby)
        auditor = Auditor(standby, self.plan)
        auditor.calls = self.auditor.calls
        self.brought_back = await fail_over(self.loop, standby, self.server.weather, self._machines, auditor)
        for wrong in auditor.wrong:
            self.auditor.say(f"the standby: {wrong}")

    def _resolve_all(self) -> None:
        for call in self.auditor.calls.values():
            hold = self.account(call.user).holds.get(call.id)
            if (hold is not None and hold.holds) or call.given_up:
                self._resolve(call, call.reported is not None or self.chance.random() < 0.5, call.answer)

    def _resolve(self, call: CallPlan, by_evidence: bool, evidence: Answer) -> None:
        process = next((each for slot in self.at_slot if (each := self._ready(slot)) is not None), None)
        if process is not None:
            process.spawn(process.resolve, call, evidence if by_evidence and call.is_sent else None)

    def _ready(self, slot: int) -> Process | None:
        process = self.at_slot.get(slot)
        return process if process is not None and process.is_ready and not process.is_stopping else None

    def _committed(self, name: str, arguments: Sequence[Any], rows: Sequence[Row], accounts: Sequence[UUID]) -> None:
        self.note(-1, name)
        for id_ in accounts:
            account = self.book.accounts.get(id_)
            if account is not None and not self.server.is_locked(id_):
                self.auditor.look(account)
        if name in ("hold_take", "hold_take_one"):
            held_for = arguments[0] if name == "hold_take" else arguments[:1]
            for n, row in enumerate(rows):
                if row["amount"] is not None:
                    self.auditor.taken(self.book.accounts[held_for[n]], row["amount"])

    def _unexpected(self, _loop: object, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.auditor.say(f"unexpected: {context.get('message')}: {type(error).__name__}: {error}")


@cache
def prices() -> str:
    """Give a price book with one model in it."""
    wanted = {"model": PRICED, "tier": "standard", "modality": "any"}
    rows = [row for row in shipped().to_rows() if wanted.items() <= row.items()]
    return json.dumps({"rows": rows, "terms": {"markup_parts_per_million": 0, "overrides": []}})
