"""Putting the parts together: from settings to a ledger that works."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from jangbu import telemetry
from jangbu.alerts.app_webhook import AppWebhook, app_webhook_of, wanted_kinds
from jangbu.alerts.channels import Channel, Log, channels_of
from jangbu.alerts.local_outbox import LocalOutbox
from jangbu.clock import Clock, SystemClock
from jangbu.config import Settings
from jangbu.domain.budgets import Budget
from jangbu.domain.webhooks import Low
from jangbu.domain.windows import zone_named
from jangbu.locations import database_address, ledger_spool, outbox_directory
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
from jangbu.metering.rollups import Rollups
from jangbu.metering.services import Services
from jangbu.metering.spooling import Spooling
from jangbu.metering.sweeper import Sweeper
from jangbu.metering.view_tokens import ViewTokens
from jangbu.metering.webhook_delivery import WebhookDelivery
from jangbu.metering.webhook_finding import WebhookFinding
from jangbu.metering.webhook_watch import Watch
from jangbu.metering.webhooks import Telling, Webhooks
from jangbu.storage import migrate
from jangbu.storage.database import Database
from jangbu.storage.names import ServiceNames

__all__ = ["alert_delivery", "open_metering"]

_ADOPT_SECONDS = 10
"""How long opening waits for what others left behind; the rest is recorded meanwhile."""


@asynccontextmanager
async def open_metering(
    settings: Settings, *, clock: Clock | None = None, delivers: bool = True, adopts: bool = True, writes: bool = False
) -> AsyncIterator[Metering]:
    """Open the ledger that the settings name, starting the embedded server where they name none.

    What goes wrong raises alerts; with ``delivers`` they are delivered while the context lasts, also those of others,
    and the app is told of its users where it has a webhook.
    With ``adopts`` what dead processes left in their spools is recorded first, and then now and then: whoever looks at
    what is kept there does without, because what was kept for long enough goes.

    The schema of an embedded ledger is upgraded by itself; one's own server is changed by `jangbu db upgrade` alone.
    Leaving the context writes what waits.
    """
    channels = channels_of(settings) if delivers else ()
    webhook = app_webhook_of(settings) if delivers else None
    async with database_address(settings) as dsn:
        await _upgrade(dsn, embedded=settings.database_url is None)
        database = await Database.connect(
            dsn, size=settings.pool_size, prepared_statements=settings.prepared_statements, writes=writes
        )
        metering = _assemble(settings, database, clock or SystemClock(), channels, webhook)
        sweeper = Sweeper(
            database,
            metering.accounts,
            metering.holds,
            metering.keys.limits,
            metering.resources,
            metering.pricing,
            metering.sessions,
            metering.refusals,
        )
        rollups = Rollups(database)
        try:
            await metering.pricing.refresh()
            await sweeper.sweep()
            sweeper.start()
            rollups.start()
            metering.refusals.start()
            metering.alerts.listen()
            if delivers:
                metering.alerts.start()
                metering.webhooks.start()
            if adopts:
                await _begin_spooling(metering.spooling)
            yield metering
        finally:
            await rollups.stop()
            await sweeper.stop()
            await asyncio.shield(metering.close())


def alert_delivery(settings: Settings, clock: Clock, database: Database | None = None) -> Delivery:
    """Give what delivers alerts when it is told to; without a database, those that wait on this machine.

    Raises InvalidSettings for channels that cannot be made.
    """
    return _delivery(settings, clock, database, LocalOutbox(outbox_directory(settings)), channels_of(settings))


async def _begin_spooling(spooling: Spooling | None) -> None:
    """Record what processes left behind that died, before anybody reads the book."""
    if spooling is None:
        return
    try:
        async with asyncio.timeout(_ADOPT_SECONDS):
            await spooling.adopt()
    except Exception as error:
        telemetry.warn("spool.not_adopted", str(error), directory=str(spooling.directory))
    spooling.start()


def _spooling(
    settings: Settings, database: Database, clock: Clock, absence: Absence, locked: LockedBalances
) -> Spooling | None:
    if not settings.spool_bytes_max:
        return None
    spooling = Spooling(
        ledger_spool(settings),
        Draining(database, locked).write,
        clock=clock,
        bytes_max=settings.spool_bytes_max,
        keep_seconds=settings.spool_keep_seconds,
        after_seconds=settings.spool_after_seconds,
        every_record=settings.spool_every_record,
        absence=absence,
    )
    locked.on_free = spooling.drain_anew
    return spooling


async def _upgrade(dsn: str, *, embedded: bool) -> None:
    """Bring the schema to this release where that is ours to do, and say what to do where it is not."""
    if embedded:
        await migrate.upgrade(dsn)
    else:
        migrate.require_head(await migrate.current(dsn))


def _assemble(
    settings: Settings, database: Database, clock: Clock, channels: Sequence[Channel], webhook: AppWebhook | None
) -> Metering:
    seconds = settings.record_seconds_max
    absence, locked = Absence(settings.hold_wait_seconds_max), LockedBalances(database)
    spooling = _spooling(settings, database, clock, absence, locked)
    accounts = Accounts(database, clock, project=settings.project, retry_seconds=seconds)
    return Metering(
        database=database,
        alerts=_alerts(settings, database, clock, channels),
        accounts=accounts,
        holds=Holds(
            database,
            project=settings.project,
            lanes=settings.flushers,
            hold_seconds=settings.hold_seconds,
            retry_seconds=seconds,
            absence=absence,
            locked=locked,
        ),
        keys=Keys(database, clock, project=settings.project, absence=absence),
        resources=Resources(database, project=settings.project, retry_seconds=seconds),
        recorder=Recorder(
            database,
            project=settings.project,
            lanes=settings.flushers,
            batch_max=settings.flush_rows_max,
            queue_max=settings.queue_rows_max,
            seconds=seconds,
            spooling=spooling,
            locked=locked,
        ),
        services=Services(ServiceNames(database), most=settings.services_max),
        pricing=Pricing(database, clock, project=settings.project, book_file=settings.price_book),
        people=people_of(database, clock, project=settings.project),
        view_tokens=ViewTokens(database, clock, project=settings.project),
        webhooks=_webhooks(settings, database, accounts, webhook),
        refusals=Refusals(database, accounts.clock, project=settings.project),
    )


def _webhooks(settings: Settings, database: Database, accounts: Accounts, webhook: AppWebhook | None) -> Webhooks:
    """Give the events of the project, and what tells them where there is a webhook."""
    telling = None
    if webhook is not None:
        kinds, low = wanted_kinds(settings), Low(settings.low_balance_tokens) if settings.low_balance_tokens else None
        watch = Watch(accounts.clock, kinds)
        telling = Telling(
            watch,
            WebhookFinding(database, watch, accounts.burn, project=settings.project, kinds=kinds, low=low),
            WebhookDelivery(database, webhook, project=settings.project),
        )
    return Webhooks(database, accounts.clock, project=settings.project, telling=telling)


def _alerts(settings: Settings, database: Database, clock: Clock, channels: Sequence[Channel]) -> Alerts:
    outbox = LocalOutbox(outbox_directory(settings))
    return Alerts(
        database,
        clock,
        project=settings.project,
        node=_node(),
        outbox=outbox,
        log=Log(settings.alert_language),
        bounds=_alert_bounds(settings),
        delivery=_delivery(settings, clock, database, outbox, channels),
    )


def _delivery(
    settings: Settings, clock: Clock, database: Database | None, outbox: LocalOutbox, channels: Sequence[Channel]
) -> Delivery:
    return Delivery(
        database,
        clock,
        project=settings.project,
        node=_node(),
        outbox=outbox,
        log=Log(settings.alert_language),
        channels=channels,
        bounds=_alert_bounds(settings),
    )


def _alert_bounds(settings: Settings) -> AlertBounds:
    nano = settings.monthly_budget_nano
    return AlertBounds(
        delay_seconds=settings.alert_delay_seconds,
        repeat_seconds=settings.alert_repeat_seconds,
        give_up_seconds=settings.alert_give_up_seconds,
        budget=None if nano is None else Budget(nano, zone_named(settings.time_zone)),
    )


def _node() -> str:
    """Give the name under which this machine tells of its troubles."""
    return socket.gethostname()[:100]
