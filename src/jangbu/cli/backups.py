"""``db backup``, ``db backups``, ``db restore`` and ``db archive``: a ledger that survives its disk."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from jangbu.cli.commands import command
from jangbu.cli.databases import databases
from jangbu.cli.money import counted
from jangbu.cli.output import shown_moment, write_message
from jangbu.cli.progress import progress
from jangbu.cli.restored import put_to_work
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import moment, whole_number
from jangbu.errors import IntegrityMismatch, InvalidInput, JangbuError

if TYPE_CHECKING:
    from jangbu.config import Settings
    from jangbu.storage.archiver import Archiver
    from jangbu.storage.embedded.backup import Source
    from jangbu.storage.embedded.backups import Backup
    from jangbu.storage.embedded.recovery import Goal
    from jangbu.storage.embedded.restore import Restored

__all__ = ["register"]

_KIBIBYTE = 1024
_THE_BACKUP = "backup"

Result = TypeVar("Result")


def register(app: typer.Typer) -> None:
    """Do nothing more: the commands stand in the group ``db``."""
    del app


@command(databases, "backup")
async def backup(
    session: Session,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="DIR", help="The new directory of the backup.", show_default="in JANGBU_BACKUP_DIR"
        ),
    ] = None,
    portable: Annotated[
        bool, typer.Option("--portable", help="As rows instead of files: for a later PostgreSQL, or from your server.")
    ] = False,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="N", help="Remove all but the newest N beside it.", show_default="all"),
    ] = None,
) -> None:
    """Back up the ledger while it works, and check the backup."""

    settings = session.settings()
    from jangbu.storage.embedded.backup import keep_newest, make_base, make_portable

    count = None if keep is None else whole_number(keep, "count", least=1, most=100_000)
    if settings.database_url is not None and not portable:
        raise InvalidInput(
            "your own server is backed up by its own tools", hint="see docs/operation.md, or give --portable"
        )
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%SZ}{'-portable' if portable else ''}"
    target = _folder(settings) / name if out is None else _path(out)
    async with _source(settings) as source:
        with progress(session) as tell:
            make = make_portable if portable else make_base
            made = await _beside(make, source, target, tell or _untold)
    removed = [] if count is None else await _beside(keep_newest, made, count)
    more = f"; removed {counted(len(removed), 'older backup')}" if removed else ""
    session.show(
        {**_facts(made), "removed": removed},
        lambda: f"backed up to {made.directory} ({_size(made)}, checked){more}",
    )
    if out is None and settings.backup_dir is None and not session.as_json:
        write_message("it lies on the ledger's own disk; set JANGBU_BACKUP_DIR to a directory on another one")


@command(databases, "backups")
async def backups(
    session: Session,
    directory: Annotated[
        str | None, typer.Argument(metavar="DIR", help="Where they lie.", show_default="JANGBU_BACKUP_DIR")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Read each to its end and compare the checksums.")] = False,
) -> None:
    """List backups, oldest first, with those that were never finished."""

    from jangbu.storage.embedded import backup as making
    from jangbu.storage.embedded.backups import Backup, find, listed

    folder = _folder(session.settings()) if directory is None else _path(directory)
    if directory is not None and not folder.is_dir():
        raise InvalidInput(f"there is no directory {folder}", hint="name the one in which the backups lie")
    found: list[Backup | Path] = listed(folder)
    if not found and (folder / "backup.json").exists():
        found = [find(folder)]
    facts, first_error = [], None
    with progress(session) as tell:
        for each in found:
            state = "complete" if isinstance(each, Backup) else "unfinished"
            if isinstance(each, Backup) and check:
                try:
                    await _beside(making.check, each, tell or _untold)
                    state = "sound"
                except JangbuError as error:
                    state, first_error = "damaged", first_error or error
            about = _facts(each) if isinstance(each, Backup) else {"directory": str(each)}
            facts.append(about | {"state": state})
    session.show({"backups": facts}, lambda: _listing(found, [str(each["state"]) for each in facts]))
    if first_error is not None:
        raise first_error


@command(databases, "restore")
async def restore(
    session: Session,
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The backup, or a directory of backups.")],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Up to when, or `backup`.", show_default="all that there is"),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option("--archive", metavar="DIR", help="Where its archive lies now.", show_default="where it was"),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="In the place of the ledger there, which is kept.")
    ] = False,
    unverified: Annotated[bool, typer.Option("--no-verify", help="Leave out `jangbu verify` at the end.")] = False,
) -> None:
    """Restore a backup into --data-dir NEW, up to a time where it was archived, and verify the ledger."""

    settings = session.settings()
    from jangbu.storage.embedded import default_data_dir
    from jangbu.storage.embedded.backups import find
    from jangbu.storage.embedded.recovery import Goal
    from jangbu.storage.embedded.restore import restore as restored_from

    until = None if to in (None, _THE_BACKUP) else moment(to or "", "time")
    if settings.database_url is not None:
        raise InvalidInput(
            "no data directory is named", hint="give --data-dir NEW; see docs/operation.md for your server"
        )
    found = find(_path(directory), until)
    goal = Goal(until, backup_alone=to == _THE_BACKUP, archive=_path(archive) if archive else None)
    target = settings.data_dir or default_data_dir()
    with progress(session) as tell:
        ended = await _beside(restored_from, found, target, goal, replace=replace, progress=tell or _untold)
        mismatches = await put_to_work(settings, found, ended, tell, verifies=not unverified)
    facts = {**asdict(ended), "backup": _facts(found), "mismatches": mismatches}
    session.show(facts, lambda: _told(found, goal, ended, mismatches))
    if mismatches:
        raise IntegrityMismatch(
            f"the restored book does not add up in {counted(mismatches, 'place')}", hint="see `jangbu verify`"
        )


@command(databases, "archive")
async def archive(session: Session) -> None:
    """Archive now what was committed until now, and tell how far the archive is."""
    settings = session.settings()
    from jangbu.locations import database_address
    from jangbu.storage.archiver import archive_now
    from jangbu.storage.embedded.archive import archive_of
    from jangbu.storage.embedded.places import places_of

    if settings.database_url is not None:
        raise InvalidInput("your own server archives by its own settings", hint="see docs/operation.md")
    async with database_address(settings) as dsn:
        directory = archive_of(places_of(_data_dir(settings)))
        if directory is None:
            raise InvalidInput("the ledger is not archived", hint="set JANGBU_WAL_ARCHIVE_DIR to a directory")
        state = await archive_now(dsn)
    session.show(asdict(state) | {"directory": directory}, lambda: _archived(state, directory))


@asynccontextmanager
async def _source(settings: "Settings") -> "AsyncIterator[Source]":
    """Hold up the ledger that is backed up, and read what a backup says about it."""
    import asyncio

    from jangbu.locations import database_address
    from jangbu.storage import migrate
    from jangbu.storage.database import Database
    from jangbu.storage.embedded.archive import archive_of
    from jangbu.storage.embedded.backup import Source
    from jangbu.storage.embedded.places import places_of

    loop = asyncio.get_running_loop()
    async with database_address(settings) as dsn:
        database = await Database.connect(dsn, size=1, prepared_statements=settings.prepared_statements)
        try:
            yield Source(
                dsn=dsn,
                postgresql=(await database.server())["version"] // 10_000,
                schema=await migrate.current(dsn),
                now=lambda: asyncio.run_coroutine_threadsafe(database.now(), loop).result(),
                archive=None if settings.database_url is not None else archive_of(places_of(_data_dir(settings))),
            )
        finally:
            await database.close()


async def _beside(work: Callable[..., Result], *given: Any, **named: Any) -> Result:
    """Do what takes long in a thread, so that Ctrl-C is heard meanwhile."""
    import asyncio

    return await asyncio.to_thread(work, *given, **named)


def _data_dir(settings: "Settings") -> Path:
    from jangbu.storage.embedded import default_data_dir

    return settings.data_dir or default_data_dir()


def _path(name: str) -> Path:
    if not name.strip():
        raise InvalidInput("a directory without a name was given", hint="name it")
    return Path(name).absolute()


def _folder(settings: "Settings") -> Path:
    return (settings.backup_dir or _data_dir(settings) / "backups").absolute()


def _untold(_step: str, _done: int, _total: int) -> None:
    """Nobody watches."""


def _facts(made: "Backup") -> dict[str, object]:
    return asdict(made)


def _size(made: "Backup") -> str:
    return f"{made.bytes // _KIBIBYTE:,} KiB"


def _listing(found: "list[Backup | Path]", states: list[str]) -> str:
    from jangbu.storage.embedded.backups import Backup

    rows = []
    for each, state in zip(found, states, strict=True):
        if isinstance(each, Backup):
            archived = "archived" if each.archive else ""
            about = (each.kind.value, shown_moment(each.ended_at), str(each.postgresql), each.schema or "", _size(each))
            rows.append((str(each.directory), *about, archived, state))
        else:
            rows.append((str(each), "", "", "", "", "", "", state))
    columns = ("backup", "kind", "ended", "postgresql", "schema", "size>", "later changes", "state")
    return table(columns, rows, empty="there is no backup")


def _told(found: "Backup", goal: "Goal", ended: "Restored", mismatches: int | None) -> str:
    upto = goal.until or ended.reaches
    lines = [f"restored {found.directory} into {ended.data_dir}, up to {shown_moment(upto)}"]
    if mismatches == 0:
        lines.append("everything in it adds up")
    if ended.replaced is not None:
        lines.append(f"the ledger that was there is kept in {ended.replaced}")
    lines.append(
        f"what was recorded after {shown_moment(ended.reaches)} may be in the spools of the former ledger: "
        "`jangbu spool drain --again --from SPOOL` records it again"
    )
    return "\n".join(lines)


def _archived(state: "Archiver", directory: Path) -> str:
    files = counted(state.archived, "file")
    return f"archived up to {shown_moment(state.last_at)} in {directory} ({files} since the server was made)"
