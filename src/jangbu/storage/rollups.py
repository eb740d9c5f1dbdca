"""Carrying what is over from the recent rollups to the lasting ones, and accounts to their places in the directory."""

from datetime import datetime

from jangbu.storage.database import Database


async def carry_users(database: Database, before: datetime, limit: int) -> int:
    """Carry figures of users from before a moment, so many rows at most; give how many were."""
    carried: int = await database.value("rollup_users", before, limit)
    return carried


async def carry_project(database: Database, before: datetime, limit: int) -> int:
    """Carry figures of everybody from before a moment, so many rows at most; give how many were."""
    carried: int = await database.value("rollup_project", before, limit)
    return carried


async def refresh_directory(database: Database, limit: int) -> int:
    """Bring accounts to their places, so many at most; give how many were."""
    moved: int = await database.value("directory_refresh", limit)
    return moved
