"""The order of events: open a ledger, let users buy and call, then read and check what the ledger says of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from uuid import UUID

from jangbu import Meter
from jangbu.cli.demo.calls import PlannedCall, planned_calls, traced_calls
from jangbu.cli.demo.comparison import Comparison, compare
from jangbu.cli.demo.figures import DemoReport, ModelFigures, UserFigures, bars_of, figures_of
from jangbu.cli.demo.lanes import make_all, open_client
from jangbu.cli.demo.ledger import DemoLedger, ends_in_order, open_ledger
from jangbu.cli.demo.options import Options
from jangbu.cli.demo.performing import CALL_HEADER, Ended, How
from jangbu.cli.demo.progress import progress
from jangbu.cli.demo.responses import Responses, read_responses, record_responses
from jangbu.cli.demo.trace import Trace, read_trace
from jangbu.cli.demo.users import USERS, DemoUser, with_grants
from jangbu.cli.session import Session
from jangbu.config import Settings
from jangbu.errors import InvalidInput
from jangbu.metering.evidence import restated
from jangbu.metering.meter import Metering
from jangbu.metering.reports import Figures, Reports
from jangbu.metering.verify import Report, Verification
from jangbu.storage import verification
from jangbu.storage.usage import UsageRecord
from jangbu.testing import Answer, FakeGemini
from jangbu.wiring import open_metering

__all__ = ["perform_demo"]

_USERS_MOST = 10_000
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is going to happen, decided before anything is written."""

    options: Options
    trace: Trace | None
    responses: Responses | None
    calls: tuple[PlannedCall, ...]
    users: tuple[DemoUser, ...]


@dataclass(frozen=True, slots=True)
class _Books:
    """What the ledger says after all calls have ended."""

    by_user: tuple[UserFigures, ...]
    by_model: tuple[ModelFigures, ...]
    days: Mapping[date, Figures]
    records: tuple[UsageRecord, ...]
    comparison: Comparison
    verified: Report


def perform_demo(session: Session, options: Options) -> DemoReport:
    """Perform a demo from its beginning to its end. Raises InvalidInput for a bad file before anything is started."""
    started = time.monotonic_ns()
    plan = _planned(options)
    with ends_in_order(), open_ledger(session) as ledger:
        asyncio.run(_sell(ledger.settings, plan.users))
        with FakeGemini(label_headers=(CALL_HEADER,)) as gemini:
            ended = _call(session, ledger.settings, gemini.url, plan.calls)
            answers = gemini.answers()
        books = asyncio.run(_read_books(ledger.settings, plan, ended, answers))
        milliseconds = (time.monotonic_ns() - started) // 1_000_000
        return _report(plan, ledger, ended, books, milliseconds)


def _planned(options: Options) -> _Plan:
    trace = read_trace(options.trace, options.calls, options.seed) if options.trace else None
    responses = read_responses(options.responses) if options.responses else None
    if trace is None:
        names, calls = USERS, planned_calls(USERS, options.calls, options.seed)
    else:
        names = trace.users or USERS
        calls = traced_calls(trace, names, options.seed)
    return _Plan(options, trace, responses, calls, with_grants(names, calls))


async def _sell(settings: Settings, users: Sequence[DemoUser]) -> None:
    """Open the users' accounts and grant them what they bought. Raises InvalidInput where the project is in use."""
    async with open_metering(settings) as metering:
        if await metering.accounts.page(limit=1):
            raise InvalidInput(
                f"project {settings.project!r} of this ledger has users already", hint="give the demo a new --project"
            )
        for start in range(0, len(users), _AT_ONCE):
            await asyncio.gather(*(_sell_to(metering, user) for user in users[start : start + _AT_ONCE]))


async def _sell_to(metering: Metering, user: DemoUser) -> None:
    await metering.accounts.create(user.name)
    await metering.accounts.grant(user.name, user.grant, key="demo")


def _call(session: Session, settings: Settings, url: str, calls: Sequence[PlannedCall]) -> tuple[Ended, ...]:
    client = open_client(url)
    with Meter.open(settings=settings) as meter, progress(session, "calls", len(calls)) as told:
        try:
            return make_all(meter, meter.wrap(client), calls, told)
        finally:
            client.close()


async def _read_books(settings: Settings, plan: _Plan, ended: Sequence[Ended], answers: Sequence[Answer]) -> _Books:
    async with open_metering(settings) as metering:
        if plan.responses is not None:
            await record_responses(metering, plan.responses, [user.name for user in plan.users if not user.runs_dry])
        reports = Reports(metering.database, settings.project)
        refused = Counter(each.call.user for each in ended if each.how is How.REFUSED)
        by_user = await _by_user(metering, reports, refused)
        names = [each.user for each in by_user]
        records = await _records(metering, names)
        verified = await Verification(metering.database, settings.project).run(
            recompute=metering.pricing.reprice, restate=restated
        )
        return _Books(
            by_user=by_user,
            by_model=await _by_model(reports, names),
            days=await _days(reports, names),
            records=records,
            comparison=compare(answers, records, plan.calls),
            verified=verified,
        )


async def _by_user(metering: Metering, reports: Reports, refused: Mapping[str, int]) -> tuple[UserFigures, ...]:
    lines = await reports.top_users(_USERS_MOST)
    balances = await asyncio.gather(*(metering.accounts.balance(line.user) for line in lines))
    return tuple(
        UserFigures(line.user, line.figures, balance, refused.get(line.user, 0))
        for line, balance in zip(lines, balances, strict=True)
    )


async def _by_model(reports: Reports, users: Sequence[str]) -> tuple[ModelFigures, ...]:
    """Sum the users' totals: the reports of everybody would hold what other projects of a given ledger used."""
    parts: dict[tuple[str, str], list[Figures]] = {}
    for lines in await asyncio.gather(*(reports.totals(user) for user in users)):
        for line in lines:
            parts.setdefault((line.service, line.model), []).append(line.figures)
    summed = [ModelFigures(service, model, figures_of(several)) for (service, model), several in parts.items()]
    return tuple(sorted(summed, key=lambda each: (each.service, -each.figures.total_tokens, each.model)))


async def _days(reports: Reports, users: Sequence[str]) -> Mapping[date, Figures]:
    parts: dict[date, list[Figures]] = {}
    for lines in await asyncio.gather(*(reports.daily(user) for user in users)):
        for line in lines:
            parts.setdefault(line.day, []).append(line.figures)
    return {day: figures_of(parts[day]) for day in sorted(parts)}


async def _records(metering: Metering, users: Sequence[str]) -> tuple[UsageRecord, ...]:
    records: list[UsageRecord] = []
    for account in sorted(metering.accounts.id_of(user) for user in users):
        after = UUID(int=0)
        while page := await verification.records(metering.database, account, after):
            records += page
            after = page[-1].id
    return tuple(records)


def _report(plan: _Plan, ledger: DemoLedger, ended: tuple[Ended, ...], books: _Books, milliseconds: int) -> DemoReport:
    step_seconds, bars = bars_of(books.records)
    return DemoReport(
        options=plan.options,
        ledger=ledger.facts(),
        client=version("google-genai"),
        milliseconds=milliseconds,
        users=len(plan.users),
        ended=ended,
        figures=figures_of(each.figures for each in books.by_user),
        by_user=books.by_user,
        by_model=books.by_model,
        days=books.days,
        step_seconds=step_seconds,
        bars=bars,
        comparison=books.comparison,
        verified=books.verified,
        trace=plan.trace,
        responses=plan.responses,
        response_differences=plan.responses.differences(books.records) if plan.responses else (),
    )
