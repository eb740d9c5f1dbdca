"""The settings: which ledger this is, in which time zone and language, and how everything that it needs stands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jangbu.config import Settings
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import READERS, Page
from jangbu.metering.health import health
from jangbu.storage.embedded import default_data_dir
from jangbu.storage.embedded.backups import release

__all__ = ["PAGE"]

_VERIFIED_SECONDS_MAX = 7 * 86_400


async def show(look: Look) -> Mapping[str, Any]:
    """Look at everything that the ledger needs."""
    found = await health(look.ledger, look.settings.project, _backup_dir(look.settings))
    verified = found.verified
    return {
        "health": found,
        "is_stale": verified is None or verified.age_seconds > _VERIFIED_SECONDS_MAX,
        "release": release(),
        "time_zone": look.settings.time_zone,
        "alert_language": look.settings.alert_language,
        "is_embedded": look.settings.database_url is None,
    }


def _backup_dir(settings: Settings) -> Path | None:
    """Give where backups are put, None where a server of one's own is backed up by its own tools."""
    if settings.backup_dir is not None:
        return settings.backup_dir
    return None if settings.database_url is not None else (settings.data_dir or default_data_dir()) / "backups"


PAGE = Page("/settings", "settings", READERS, show)
