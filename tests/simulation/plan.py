"""What happens in one history, drawn from its seed before it begins: who calls, what is answered, what fails."""

import errno
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID

USERS = ("kim", "이서연", "park")
PRICED, UNPRICED = "gemini-2.5-flash", "model-of-tomorrow"


class Mode(StrEnum):
    """How the provider deals with a call."""

    ANSWERED = "answered"
    PARTIAL = "partial"
    """It breaks off after it has reported something."""
    SILENT = "silent"
    """The answer reports no usage."""
    REJECTED = "rejected"
    REFUSED = "refused"
    """The provider cannot be reached; the call never leaves."""
    LOST = "lost"
    """The call leaves and nothing comes back, though the provider may have answered."""


_MODES = (Mode.ANSWERED,) * 7 + (Mode.PARTIAL, Mode.SILENT, Mode.REJECTED, Mode.REFUSED, Mode.LOST, Mode.LOST)


@dataclass(slots=True, eq=False)
class Answer:
    """What the provider generated once, however often it is fetched. ``serial`` is in its usage object."""

    serial: int
    total: int
    response_id: str | None


@dataclass(slots=True, eq=False)
class CallPlan:
    """One call, and afterwards what is true of it."""

    id: UUID
    user: str
    model: str
    at: float
    slot: int
    mode: Mode
    seconds: float
    answer: Answer
    input_most: int | None
    output_most: int
    output_chosen: bool
    clamps: bool
    cancelled_at: tuple[float, ...] = ()
    again: bool = False
    """Whether its end is written twice."""
    is_sent: bool = False
    reported: Answer | None = None
    """What its process was told by the provider."""
    is_owed: bool = False
    """Whether its process wrote down what it was told before its client, who was broken off, heard of the end."""
    wrong: Answer | None = None
    """What an operator takes for its answer who is mistaken."""
    evidence: list[Answer] = field(default_factory=list)
    """What operators tried to settle it by."""
    charged: list[Answer] = field(default_factory=list)
    """By what of that an operator was told that it is settled."""
    cost_nothing: bool = False
    """Whether its process was told by the provider that it cost nothing, or knows that it never left."""
    given_up: bool = False
    """Whether an operator tried to give its hold back."""
    is_released: bool = False
    """Whether its client has the last byte."""


@dataclass(slots=True, eq=False)
class HandedPlan:
    """An answer that an app got by itself and hands over, again and again until it is told that it is recorded."""

    key: str | None
    user: str
    at: float
    answer: Answer
    attempts: tuple[tuple[float, int], ...]
    is_told: bool = False


@dataclass(slots=True, eq=False)
class TopUp:
    """Tokens that a user buys; the shop repeats it under the same key until it is told that they are granted."""

    key: str
    user: str
    amount: int
    at: float
    attempts: tuple[tuple[float, int], ...]
    lives: float | None
    is_told: bool = False


@dataclass(slots=True)
class DiskPlan:
    """The spools, if there are any, and what becomes of the disks that they lie on."""

    spool_bytes: int
    after_seconds: int
    keep_seconds: int
    every_record: bool
    """Whether the spools have a copy of what the database takes at once."""
    capacity: int
    one_machine: bool
    """Whether all processes share a machine, and what dies with it."""
    writes_in_parts: bool
    power_cuts: float
    """The part of deaths that are the machine's: what was not synced is lost, whole or in part."""
    faults: list[tuple[float, int, str, int]]
    is_ample: bool = False
    """Whether there is room for everything, on disks that nothing befalls."""


@dataclass(slots=True)
class Plan:
    """All that is drawn before the first step."""

    seed: int
    users: tuple[str, ...]
    balances: dict[str, int]
    with_money: frozenset[str]
    calls: list[CallPlan]
    handed: list[HandedPlan]
    top_ups: list[TopUp]
    slots: int
    lanes: int
    pool: int
    hold_seconds: int
    retry_seconds: int
    hold_wait_seconds: int
    window: float
    disks: "DiskPlan"
    crashes: list[tuple[float, float]]
    kills: list[tuple[float, int]]
    """Processes that are killed while the database is away."""
    locks: list[tuple[float, str, float]]
    """Balances that somebody keeps locked by hand."""
    sweeps: list[tuple[float, int]]
    stops: list[tuple[float, int]]
    jumps: list[tuple[float, int, float]]
    fuel: list[int] = field(default_factory=list)


def draw(seed: int) -> tuple[Plan, random.Random]:
    """Draw a plan; gives it with the chance from which everything else is drawn while it is carried out."""
    chance = random.Random(seed)
    users = USERS[: chance.randint(1, len(USERS))]
    window = chance.choice((0.02, 0.5, 5.0, 60.0))
    slots = chance.randint(1, 2)
    serials = iter(range(1, 1000))
    calls: list[CallPlan] = []
    for number in range(chance.randint(4, 16)):
        calls.append(_call(chance, number, users, window, slots, serials, calls))
        if number % 4 == 3:
            calls[-1].wrong = _mistaken(number, calls[-1].answer)
    crashes = [(chance.random() * window, chance.choice((0.05, 2.0, 20.0, 70.0))) for _ in range(_few(chance))]
    return Plan(
        seed=seed,
        users=users,
        balances={user: chance.choice((0, 900, 5_000, 40_000, 40_000)) for user in users},
        with_money=frozenset(user for user in users if chance.random() < 0.15),
        calls=calls,
        handed=[_handed(chance, users, window, slots, serials) for _ in range(_few(chance))],
        top_ups=[_top_up(chance, number, users, window, slots) for number in range(_few(chance))],
        slots=slots,
        lanes=chance.randint(1, 2),
        pool=chance.choice((1, 2, 6)),
        hold_seconds=chance.choice((3, 20, 150)),
        retry_seconds=chance.choice((2, 10, 30)),
        hold_wait_seconds=(1, 5, 30)[seed % 3],
        window=window,
        disks=_disks(chance, window, slots, every_record=seed % 5 in (1, 3), is_ample=seed % 5 == 1),
        crashes=crashes,
        kills=[
            (at + chance.random() * seconds, chance.randrange(slots))
            for at, seconds in crashes
            if chance.random() < 0.5
        ],
        locks=_locks(random.Random(f"locks of {seed}"), users, window),
        sweeps=[(chance.random() * (window + 30), chance.randrange(slots)) for _ in range(2)],
        stops=[(chance.random() * window, chance.randrange(slots)) for _ in range(chance.random() < 0.15)],
        jumps=[
            (chance.random() * window, chance.randrange(slots), chance.choice((3600.0, -3600.0, 365 * 86_400.0)))
            for _ in range(chance.random() < 0.2)
        ],
        fuel=[chance.randint(1, 150) for _ in range(_few(chance) * 2)],
    ), chance


def _disks(chance: random.Random, window: float, slots: int, *, every_record: bool, is_ample: bool) -> DiskPlan:
    """Draw disks; with ``is_ample`` such as keep all that is written to them."""
    operations = (("sync", errno.EIO), ("write", errno.EIO), ("create", errno.ENOSPC), ("sync_directory", errno.EIO))
    drawn = DiskPlan(
        spool_bytes=chance.choice((0, 65_536, 65_536, 262_144)),
        after_seconds=chance.choice((1, 5)),
        keep_seconds=chance.choice((5, 900)),
        every_record=every_record,
        capacity=chance.choice((2**30, 2**30, 150_000, 30_000)),
        one_machine=chance.random() < 0.5,
        writes_in_parts=chance.random() < 0.2,
        power_cuts=chance.choice((0.0, 0.5, 1.0)),
        faults=[
            (chance.random() * window, chance.randrange(slots), *chance.choice(operations)) for _ in range(_few(chance))
        ],
    )
    if not is_ample:
        return drawn
    return replace(drawn, spool_bytes=2**20, keep_seconds=900, capacity=2**30, faults=[], is_ample=True)


def _locks(chance: random.Random, users: tuple[str, ...], window: float) -> list[tuple[float, str, float]]:
    return [
        (chance.random() * window, chance.choice(users), chance.choice((0.5, 3.0, 20.0))) for _ in range(_few(chance))
    ]


def _few(chance: random.Random) -> int:
    return chance.choice((0, 0, 0, 1, 1, 2))


def _call(
    chance: random.Random,
    number: int,
    users: tuple[str, ...],
    window: float,
    slots: int,
    serials: Iterator[int],
    before: list[CallPlan],
) -> CallPlan:
    user = chance.choice(users)
    output_most = chance.choice((0, 50, 600, 3_000))
    input_most = chance.randint(1, 120)
    total = chance.randint(1, input_most + output_most)
    if chance.random() < 0.1:
        total += chance.randint(1, 2_000)
    response_id = None if chance.random() < 0.4 else f"answer-{number}"
    answer = Answer(next(serials), total, response_id)
    ids = [each.answer.response_id for each in before]
    mine = [
        each
        for each in before
        if each.user == user and each.answer.response_id and ids.count(each.answer.response_id) == 1
    ]
    if mine and chance.random() < 0.12:
        # The same answer is fetched by two calls, or two answers bear one id, which then proves nothing any more.
        twin = chance.choice(mine).answer
        other = total + 1 if total == twin.total else total
        answer = twin if chance.random() < 0.6 else Answer(next(serials), other, twin.response_id)
    mode = chance.choice(_MODES)
    if mode is Mode.SILENT:
        answer = Answer(next(serials), 0, None)
    cancels = sorted(chance.random() * chance.choice((0.01, 5.0)) for _ in range(chance.choice((0, 0, 0, 0, 0, 1, 2))))
    return CallPlan(
        id=UUID(int=0),
        user=user,
        model=chance.choice((PRICED, PRICED, PRICED, UNPRICED)),
        at=chance.random() * window,
        slot=chance.randrange(slots),
        mode=mode,
        seconds=chance.choice((0.01, 0.4, 0.4, 8.0, 40.0)) * chance.random(),
        answer=answer,
        input_most=None if chance.random() < 0.1 else input_most,
        output_most=output_most,
        output_chosen=chance.random() < 0.5,
        clamps=chance.random() < 0.5,
        cancelled_at=tuple(cancels),
        again=chance.random() < 0.15,
    )


def _mistaken(number: int, answer: Answer) -> Answer:
    return Answer(1_000 + number, answer.total + 1, None if number % 8 == 3 else f"mistaken-{number}")


def _handed(
    chance: random.Random, users: tuple[str, ...], window: float, slots: int, serials: Iterator[int]
) -> HandedPlan:
    serial = next(serials)
    has_key = chance.random() < 0.7
    response_id = f"handed-{serial}" if not has_key or chance.random() < 0.5 else None
    return HandedPlan(
        key=f"k{serial}" if has_key else None,
        user=chance.choice(users),
        at=chance.random() * window,
        answer=Answer(serial, chance.randint(1, 500), response_id),
        attempts=tuple((chance.random() * 30, chance.randrange(slots)) for _ in range(4)),
    )


def _top_up(chance: random.Random, number: int, users: tuple[str, ...], window: float, slots: int) -> TopUp:
    return TopUp(
        key=f"order-{number}",
        user=chance.choice(users),
        amount=1_000 + number,
        at=chance.random() * window,
        attempts=tuple((chance.random() * 10, chance.randrange(slots)) for _ in range(4)),
        lives=chance.choice((None, 20.0)),
    )
