"""All pages, in the order of the menu."""

from jangbu.dashboard.page import Page
from jangbu.dashboard.pages import (
    alerts,
    alerts_channels,
    alerts_events,
    alerts_rules,
    alerts_told,
    call,
    cost,
    ledger,
    ledger_holds,
    ledger_refused,
    models,
    overview,
    prices,
    prices_change,
    profile,
    settings,
    settings_audit,
    settings_keys,
    settings_members,
    user,
    users,
    users_grant,
)

__all__ = ["PAGES"]

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    users.PAGE,
    users_grant.PAGE,
    models.PAGE,
    cost.PAGE,
    ledger.PAGE,
    ledger_holds.PAGE,
    ledger_refused.PAGE,
    alerts.PAGE,
    alerts_told.PAGE,
    alerts_events.PAGE,
    alerts_channels.PAGE,
    alerts_rules.PAGE,
    prices.PAGE,
    prices_change.PAGE,
    settings.PAGE,
    settings_keys.PAGE,
    settings_members.PAGE,
    settings_audit.PAGE,
    user.PAGE,
    call.PAGE,
    profile.PAGE,
)
