"""The settings: which ledger this is, what is set of it for everybody, and how everything that it needs stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jangbu.config import Settings
from jangbu.config.reading import variable_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import READERS, Page
from jangbu.metering.health import Backups, health
from jangbu.storage.embedded import default_data_dir
from jangbu.storage.embedded.backups import release

__all__ = ["BACKUP_DAYS_MAX", "PAGE", "Age", "age_of"]

BACKUP_DAYS_MAX = 7
"""How old the newest backup may be until somebody has to look."""
_VERIFIED_SECONDS_MAX = 7 * 86_400
_ENDED_DAYS = 400
"""How long `hold_purge` and `refused_purge` keep what they forget."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for everybody: ``set_by`` is the variable that sets it, or the command; empty where it is fixed."""

    name: str
    value: str
    set_by: str = ""


@dataclass(frozen=True, slots=True)
class Age:
    """How old the newest backup is, in whole days that have passed, and whether that is too old."""

    days: int
    is_over: bool


async def show(look: Look) -> Mapping[str, Any]:
    """Look at everything that the ledger needs."""
    found = await health(look.ledger, look.settings.project, _backup_dir(look.settings))
    verified = found.verified
    return {
        "health": found,
        "is_stale": verified is None or verified.age_seconds > _VERIFIED_SECONDS_MAX,
        "backup_age": None if found.backups is None else age_of(found.backups, look.now),
        "backup_days_max": BACKUP_DAYS_MAX,
        "release": release(),
        "time_zone": look.settings.time_zone,
        "alert_language": look.settings.alert_language,
        "policies": policies(look),
        "is_embedded": look.settings.database_url is None,
    }


def age_of(backups: Backups, now: datetime) -> Age | None:
    """Tell how old the newest of them is; None where there is none."""
    if backups.newest_at is None:
        return None
    age = max(now - backups.newest_at, timedelta())
    return Age(age.days, age > timedelta(days=BACKUP_DAYS_MAX))


def policies(look: Look) -> tuple[Policy, ...]:
    """Say what holds: how long things are kept, in what money, who may sign in by what, and what a low balance does."""
    settings, texts, number = look.settings, look.texts, look.formats.number
    issuer = settings.oidc_issuer
    open_for = texts("policy.hold.seconds", seconds=number(settings.hold_seconds))
    return (
        Policy("records", texts("policy.records.kept"), "jangbu db retain"),
        Policy("ended", texts("policy.ended.days", days=number(_ENDED_DAYS))),
        Policy("hold", open_for, variable_of("hold_seconds")),
        Policy("money", texts("policy.money.dollars")),
        Policy(
            "oidc",
            texts("policy.oidc.off") if issuer is None else texts("policy.oidc.on", issuer=issuer),
            variable_of("oidc_issuer"),
        ),
        Policy("balance", texts(f"policy.balance.{settings.short_balance}"), variable_of("short_balance")),
    )


def _backup_dir(settings: Settings) -> Path | None:
    """Give where backups are put, None where a server of one's own is backed up by its own tools."""
    if settings.backup_dir is not None:
        return settings.backup_dir
    return None if settings.database_url is not None else (settings.data_dir or default_data_dir()) / "backups"


PAGE = Page("/settings", "settings", READERS, show)
