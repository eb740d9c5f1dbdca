"""Where what the settings name lies: the database, and the directories in which things wait on this machine."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from jangbu.config import Settings
from jangbu.errors import InvalidSettings

__all__ = ["database_address", "ledger_spool", "outbox_directory", "spool_root"]


@asynccontextmanager
async def database_address(settings: Settings) -> AsyncIterator[str]:
    """Give the address of the database, holding the embedded server up while it is used."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    from jangbu.storage.embedded import EmbeddedServer, default_data_dir

    server = EmbeddedServer(settings.data_dir or default_data_dir(), wal_archive_dir=settings.wal_archive_dir)
    endpoint = await asyncio.to_thread(server.ensure)
    try:
        yield endpoint.dsn
    finally:
        await asyncio.to_thread(server.leave)


def spool_root(settings: Settings) -> Path:
    """Give the directory beneath which records wait while the database is away."""
    from jangbu.storage.embedded import default_data_dir

    return settings.spool_dir or (settings.data_dir or default_data_dir()) / "spool"


def ledger_spool(settings: Settings) -> Path:
    """Give the directory beneath which the spools of one ledger lie: no other one is to get its records."""
    if settings.database_url is None:
        home = "" if settings.spool_dir is None else f"-{_digest(str((settings.data_dir or Path()).absolute()))}"
        return spool_root(settings) / f"embedded{home}"
    address = urlsplit(settings.database_url.get_secret_value())
    place = parse_qs(address.query)
    hosts = f"{address.netloc.rpartition('@')[2]},{place.get('host', '')},{place.get('port', '')}"
    database = address.path.strip("/")
    shown = "".join(each if each.isalnum() else "_" for each in database)[:40]
    return spool_root(settings) / f"{shown}-{_digest(f'{hosts}/{database}')}"


def outbox_directory(settings: Settings) -> Path | None:
    """Give where alerts of this ledger wait on this machine: apart from those of other databases and projects.

    None for a user without a home directory, who named none.
    """
    from jangbu.storage.embedded import default_data_dir

    try:
        root = settings.spool_dir or settings.data_dir or default_data_dir()
        return root / "alerts" / f"{ledger_spool(settings).name}-{_digest(settings.project)}"
    except InvalidSettings:
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
