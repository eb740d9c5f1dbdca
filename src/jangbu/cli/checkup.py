"""What ``doctor`` examines, each with a verdict; nothing here changes anything in a ledger."""

import os
import platform
import shutil
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from uuid import UUID

from jangbu.cli.money import counted
from jangbu.cli.output import shown_moment
from jangbu.cli.serve.certificate import ends_at
from jangbu.cli.spool import spools_of
from jangbu.clock import SystemClock
from jangbu.config import Settings
from jangbu.errors import JangbuError
from jangbu.locations import database_address, spool_root
from jangbu.metering.meter import Metering
from jangbu.storage import migrate, usage, verifications
from jangbu.storage.archiver import Archiver, archiver
from jangbu.storage.database import Database
from jangbu.storage.embedded import default_data_dir
from jangbu.storage.embedded.archive import archive_of
from jangbu.storage.embedded.places import places_of
from jangbu.storage.policies import Reader, Standing, readers, standing
from jangbu.wiring import open_metering

__all__ = ["Check", "State", "examine"]

_MEBIBYTE = 2**20
_FREE_LEAST = 256 * _MEBIBYTE
_FREE_AMPLE = 2048 * _MEBIBYTE
_SKEW_LEAST_MS = 1_000
_LISTED_MOST = 1_000
_DATA_DIRECTORY = "data directory"
_VERIFICATION = "verification"
_VERIFIED_SECONDS_MAX = 7 * 86_400
_ARCHIVE = "archive"
_POLICIES = "row-level security"
_READER = "role that reads"
_SURPLUS_SHOWN = 8
_CERTIFICATE = "certificate"
_CERTIFICATE_AMPLE = timedelta(days=14)
_GENAI = "google-genai"
_GENAI_OLDEST, _GENAI_NEXT = (1, 33), (4,)


class State(StrEnum):
    """A verdict."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was examined; ``advice`` says what to do about it."""

    name: str
    state: State
    found: str
    advice: str = ""


async def examine(settings: Settings) -> list[Check]:
    """Examine the machine, then the database, then the ledger; what cannot be reached ends the examination."""
    checks = [_python(), _genai()]
    if settings.database_url is None:
        checks += _data_dir(settings)
        if checks[-1].name == _DATA_DIRECTORY:
            return checks
    checks.append(_spool(settings))
    if settings.tls_certificate is not None:
        checks.append(_certificate(settings.tls_certificate))
    try:
        async with database_address(settings) as dsn:
            revision = await migrate.current(dsn)
            checks += await _server(settings, dsn)
            schema = _schema(revision)
            checks.append(schema)
            if schema.state is State.OK:
                async with open_metering(settings, delivers=False) as metering:
                    checks += [await _prices(metering), await _unpriced(metering, settings.project)]
                    checks += [await _unknown_holds(metering), await _verified(metering, settings.project)]
    except JangbuError as error:
        checks.append(Check("postgresql", State.FAIL, error.message, error.hint))
    return checks


def _python() -> Check:
    # An older Python could not have read this file.
    return Check("python", State.OK, platform.python_version())


def _genai() -> Check:
    try:
        version = metadata.version(_GENAI)
    except metadata.PackageNotFoundError:
        return Check(_GENAI, State.WARN, "not installed", f"pip install {_GENAI} to wrap its client")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if not _GENAI_OLDEST <= numbers < _GENAI_NEXT:
        return Check(_GENAI, State.WARN, version, "this release is tested with 1.33 up to 3.x")
    return Check(_GENAI, State.OK, version)


def _certificate(chain: Path) -> Check:
    """Examine how long the certificate lasts that is served with."""
    try:
        end = ends_at(chain)
    except (OSError, ValueError) as error:
        return Check(_CERTIFICATE, State.FAIL, f"{chain} cannot be read: {error}", "set JANGBU_TLS_CERTIFICATE anew")
    left, found = end - SystemClock().now(), f"{chain} is good until {shown_moment(end)}"
    if left > _CERTIFICATE_AMPLE:
        return Check(_CERTIFICATE, State.OK, found)
    state = State.WARN if left > timedelta() else State.FAIL
    return Check(
        _CERTIFICATE, state, found, "put a newer one and its key into their places; jangbu serve takes it up by itself"
    )


def _data_dir(settings: Settings) -> list[Check]:
    """Examine the directory of the embedded ledger and the disk beneath it; one that cannot be used has no disk."""
    directory = (settings.data_dir or default_data_dir()).absolute()
    standing = next(each for each in (directory, *directory.parents) if _is_there(each))
    advice = "set JANGBU_DATA_DIR to a directory that you may write"
    if not standing.is_dir():
        return [Check(_DATA_DIRECTORY, State.FAIL, f"{standing} is no directory", advice)]
    if not os.access(standing, os.W_OK | os.X_OK):
        return [Check(_DATA_DIRECTORY, State.FAIL, f"{standing} may not be written", advice)]
    free = shutil.disk_usage(standing).free
    found = f"{free // _MEBIBYTE:,} MiB free"
    if free < _FREE_LEAST:
        disk = Check("disk", State.FAIL, found, "make room: PostgreSQL stops when the disk is full")
    elif free < _FREE_AMPLE:
        disk = Check("disk", State.WARN, found, "make room soon")
    else:
        disk = Check("disk", State.OK, found)
    return [Check(_DATA_DIRECTORY, State.OK, str(directory)), disk]


def _spool(settings: Settings) -> Check:
    """Examine where records wait while the database is away."""
    if not settings.spool_bytes_max:
        return Check("spool", State.WARN, "none", "set JANGBU_SPOOL_BYTES_MAX: a database that is away loses records")
    directory = spool_root(settings).absolute()
    standing = next(each for each in (directory, *directory.parents) if _is_there(each))
    if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
        advice = "set JANGBU_SPOOL_DIR to a directory that you may write"
        return Check("spool", State.FAIL, f"{standing} may not be written", advice)
    try:
        seen = spools_of(settings)
    except JangbuError as error:
        return Check("spool", State.FAIL, error.message, error.hint)
    waiting, quarantined = sum(each.waiting for each in seen), sum(each.quarantined for each in seen)
    if waiting or quarantined:
        found = f"{counted(waiting, 'record')} waiting, {counted(quarantined, 'file')} in quarantine"
        return Check("spool", State.WARN, found, "see `jangbu spool status`, then `jangbu spool drain`")
    return Check("spool", State.OK, "nothing waits")


def _is_there(path: Path) -> bool:
    """Tell whether a path exists, as far as may be seen: below a closed directory nothing does."""
    try:
        return path.exists()
    except OSError:
        return False


async def _server(settings: Settings, dsn: str) -> list[Check]:
    """Examine the server: its version and the settings that keep what was acknowledged."""
    database = await Database.connect(dsn, size=2, prepared_statements=settings.prepared_statements)
    try:
        shown = await database.server()
        before = SystemClock().now()
        theirs = await database.writing_now()
        after = SystemClock().now()
        await database.require_writes()
        archiving = await archiver(database)
        stands = await standing(database)
        reading = await readers(database)
    finally:
        await database.close()
    kept = ", ".join(f"{name} {shown[name]}" for name in ("fsync", "full_page_writes", "synchronous_commit"))
    major, minor = divmod(shown["version"], 10_000)
    skew = max(0, _milliseconds(theirs - after), _milliseconds(before - theirs))
    clock = Check("clock", State.OK, f"within {max(skew, 1):,} ms of the database's")
    if skew > _SKEW_LEAST_MS:
        clock = Check("clock", State.WARN, f"{skew:,} ms from the database's", "synchronise both clocks (NTP)")
    place = "embedded" if settings.database_url is None else "own server"
    return [
        Check("postgresql", State.OK, f"{major}.{minor}, {place}"),
        Check("durability", State.OK, kept),
        clock,
        _archive(settings, archiving),
        *_policies(stands),
        *(_reader(each) for each in reading),
    ]


def _policies(found: Standing) -> list[Check]:
    """Tell, where policies are in force, whether they bind what Jangbu connects as; it need not be so."""
    if not found.is_in_force:
        return []
    if found.passes:
        advice = "to have them bind Jangbu, too, see `jangbu db policies --writes`"
        return [Check(_POLICIES, State.OK, f"in force, and passed by {found.role}, as which Jangbu connects", advice)]
    if found.unsettled:
        advice = "run `jangbu db policies --writes --apply` again as the owner of the tables"
        return [Check(_POLICIES, State.WARN, f"older than {', '.join(found.unsettled)}", advice)]
    return [Check(_POLICIES, State.OK, f"in force for {found.role}, as which Jangbu connects")]


def _reader(found: Reader) -> Check:
    """Tell how much a role reads that was let read rows; an older release let it read whole tables."""
    costs = "with costs" if found.with_costs else "without costs"
    if not found.surplus:
        return Check(_READER, State.OK, f"{found.role} reads rows {costs}")
    more = ", ".join(found.surplus[:_SURPLUS_SHOWN])
    if len(found.surplus) > _SURPLUS_SHOWN:
        more += f" and {len(found.surplus) - _SURPLUS_SHOWN} more"
    advice = f"run `jangbu db policies --role {found.role} --apply` again, with the options that it was run with"
    advice += "; --with-costs keeps the costs, and what is granted to PUBLIC or by another role stays yours to revoke"
    return Check(_READER, State.WARN, f"{found.role} reads rows {costs}, and more than it is given of {more}", advice)


def _archive(settings: Settings, found: Archiver) -> Check:
    """Tell how far back and forth a restore could go, by the server's own word."""
    wanted = settings.database_url is None and archive_of(places_of(settings.data_dir or default_data_dir()))
    if found.is_failing:
        advice = "see that the archive's directory is there and has room; the server keeps every segment until then"
        return Check(_ARCHIVE, State.WARN, f"failing since {shown_moment(found.failed_at)}", advice)
    if wanted and not found.is_on:
        advice = "stop what uses the ledger for a moment: archiving begins with the next start"
        return Check(_ARCHIVE, State.WARN, "not begun", advice)
    if not found.is_on:
        return Check(_ARCHIVE, State.OK, "off: a restore brings back a backup and nothing later")
    return Check(_ARCHIVE, State.OK, f"up to {shown_moment(found.last_at) or 'nothing yet'}")


def _schema(revision: str | None) -> Check:
    if revision == migrate.HEAD:
        return Check("schema", State.OK, f"revision {revision}")
    if revision is None:
        return Check("schema", State.WARN, "not there yet", "run `jangbu db upgrade`")
    return Check("schema", State.FAIL, f"revision {revision}, needs {migrate.HEAD}", migrate.way_to_head(revision))


async def _unknown_holds(metering: Metering) -> Check:
    found = await metering.holds.page(None, ["unknown"], _LISTED_MOST)
    if found:
        advice = "see `jangbu holds list --state unknown`, then `jangbu holds resolve`"
        more = " or more" if len(found) == _LISTED_MOST else ""
        return Check("unknown outcomes", State.WARN, counted(len(found), "hold") + more, advice)
    return Check("unknown outcomes", State.OK, "none")


async def _verified(metering: Metering, project: str) -> Check:
    found = await verifications.find(metering.database, project)
    if found is None:
        return Check(_VERIFICATION, State.WARN, "none so far", "run `jangbu verify`; `jangbu serve` does it by itself")
    age = f"{_span(found.age_seconds)} ago"
    if found.known_mismatches:
        said = f"{counted(found.known_mismatches, 'figure')} did not add up {age}"
        return Check(_VERIFICATION, State.FAIL, said, "run `jangbu verify --full` and see what differs")
    whole = "never all of it" if found.full_at is None else f"all of it last at {shown_moment(found.full_at)}"
    if found.age_seconds > _VERIFIED_SECONDS_MAX:
        return Check(_VERIFICATION, State.WARN, f"everything added up {age}, {whole}", "run `jangbu verify`")
    return Check(_VERIFICATION, State.OK, f"everything added up {age}, {whole}")


def _span(seconds: int) -> str:
    """Give a time that passed in the largest unit that it fills."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return counted(seconds // length, unit)
    return counted(max(seconds, 0), "second")


async def _prices(metering: Metering) -> Check:
    edition = metering.pricing.in_force
    return Check("prices", State.OK, f"version {edition.version}, {len(edition.book.rows):,} rows")


async def _unpriced(metering: Metering, project: str) -> Check:
    found = await usage.unpriced(metering.database, project, UUID(int=0), _LISTED_MOST)
    if not found:
        return Check("unpriced calls", State.OK, "none")
    more = " or more" if len(found) == _LISTED_MOST else ""
    advice = "see `jangbu cost --all --by model`; then `jangbu prices import` or `prices set`, and `prices backfill`"
    return Check("unpriced calls", State.WARN, f"{len(found):,}{more}", advice)


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
