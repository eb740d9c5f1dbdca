"""All routes of the API, part by part."""

from jangbu.api.rest.accounts import accounts
from jangbu.api.rest.alerts import alerts
from jangbu.api.rest.calls import calls
from jangbu.api.rest.channels import channels
from jangbu.api.rest.corrections import corrections
from jangbu.api.rest.declared import Routes
from jangbu.api.rest.exports import exports
from jangbu.api.rest.findings import findings
from jangbu.api.rest.holds import holds
from jangbu.api.rest.keys import keys
from jangbu.api.rest.money import money
from jangbu.api.rest.mutes import mutes
from jangbu.api.rest.price_changes import price_changes
from jangbu.api.rest.prices import prices
from jangbu.api.rest.records import records
from jangbu.api.rest.reports import reports
from jangbu.api.rest.series import series
from jangbu.api.rest.verification import verification
from jangbu.api.rest.view_tokens import view_tokens
from jangbu.api.rest.webhooks import webhooks

__all__ = ["ROUTES"]

ROUTES: tuple[Routes, ...] = (
    accounts,
    corrections,
    money,
    records,
    reports,
    series,
    calls,
    holds,
    prices,
    price_changes,
    keys,
    view_tokens,
    findings,
    alerts,
    mutes,
    channels,
    verification,
    exports,
    webhooks,
)
