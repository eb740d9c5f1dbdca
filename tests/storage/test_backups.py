"""Backups below the command: other users, earlier clusters, an older PostgreSQL, and the archive's own promises."""

import asyncio
import gzip
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from jangbu.clock import SystemClock
from jangbu.domain.ledger import account_id
from jangbu.errors import BackupFailed, BackupUnusable, InvalidInput
from jangbu.storage import accounts, migrate, usage
from jangbu.storage.archiver import archive_now
from jangbu.storage.database import Database
from jangbu.storage.embedded import EmbeddedServer, program, stop
from jangbu.storage.embedded.archive import SEGMENT_BYTES, archive_command, segment_name, segment_number
from jangbu.storage.embedded.backup import Source, make_base, make_portable, without_secret
from jangbu.storage.embedded.backups import find, unfinished
from jangbu.storage.embedded.cluster import USER, reachable
from jangbu.storage.embedded.owner import owner_of
from jangbu.storage.embedded.places import places_of
from jangbu.storage.embedded.programs import programs_for
from jangbu.storage.embedded.recovery import Goal
from jangbu.storage.embedded.restore import restore
from jangbu.storage.policies import worker_sql
from tests.conftest import execute
from tests.storage.embedded_processes import SITE, SOURCES, cluster_of, wait_until
from tests.storage.test_embedded import as_root, python_for
from tests.storage.test_usage import PLAIN, Ledger

KIM = account_id("p", "kim")
OLDER = program("postgres").parents[2] / "pginstall" / "bin"
"""The wheel brings the major version before ours, too: the very server that an earlier release would have run."""


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "ledger"
    stop(tmp_path / "ledger")


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "new"
    stop(tmp_path / "new")


def untold(_step: str, _done: int, _total: int) -> None:
    """Nobody watches."""


def source(dsn: str, postgresql: int = 18) -> Source:
    return Source(dsn, postgresql, migrate.HEAD, SystemClock().now)


async def record(dsn: str, calls: int) -> None:
    """Make the ledger where there is none, and record some calls of kim's."""
    await migrate.upgrade(dsn)
    database = await Database.connect(dsn)
    await accounts.create(database, KIM, "p", "kim")
    await usage.make_partitions(database, [SystemClock().now()])
    ledger = Ledger(database, (1, 1))
    await ledger.write(*(ledger.row(KIM, PLAIN._replace(key=f"answer:{number}")) for number in range(calls)))
    await database.close()


async def used(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        found: int = await connection.fetchval("SELECT used FROM jangbu.balances WHERE asset = 1")
        return found
    finally:
        await connection.close()


@as_root
def test_an_ordinary_user_backs_up_and_restores_too() -> None:
    nobody = pwd.getpwnam("nobody")
    identity: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    home = Path(tempfile.mkdtemp(prefix="jangbu-test-"))
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    command = [python_for(identity), "-m", "jangbu"]
    environment = {"PYTHONPATH": f"{SOURCES}{os.pathsep}{SITE}", "JANGBU_WAL_ARCHIVE_DIR": str(home / "wal")}
    try:
        for words in (
            "accounts create kim --data-dir a",
            "db backup --out b --data-dir a",
            "grant kim 5 --key k --data-dir a",
            "db archive --data-dir a",
            "db restore b --data-dir c",
            "db backup --portable --out d --data-dir c",
            "db restore d --data-dir c --replace",
            "balance kim --data-dir c",
        ):
            ended = subprocess.run(
                [*command, *words.split()],
                env=environment,
                cwd=home,
                capture_output=True,
                text=True,
                check=False,
                **identity,
            )
            assert (ended.returncode, ended.stderr) == (0, ""), words
        assert ended.stdout.split()[-4:] == ["5", "0", "0", "5"]
        assert {path.stat().st_uid for path in home.rglob("*")} == {nobody.pw_uid}
    finally:
        for name in ("a", "c"):
            stop(home / name)
        shutil.rmtree(home)


def take_rights(data_dir: Path) -> None:
    """Make a cluster what it was before its user was given what backups need."""
    places, owner = places_of(data_dir), owner_of(cluster_of(data_dir))
    with reachable(places.cluster, owner) as handle:
        subprocess.run(
            [programs_for(owner) / "postgres", "--single", "-D", handle.path, "postgres"],
            input=f"ALTER ROLE {USER} NOREPLICATION\n",
            text=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            pass_fds=handle.descriptors,
            check=True,
            **owner.process_options(),
        )
    (places.cluster / "pg_hba.conf").write_text("local all all scram-sha-256\n")
    places.rights_file.unlink()


async def test_an_earlier_releases_cluster_can_be_backed_up_as_soon_as_it_is_used(data_dir: Path, new: Path) -> None:
    with EmbeddedServer(data_dir, grace_seconds=0) as endpoint:
        await record(endpoint.dsn, 2)
    stop(data_dir)
    take_rights(data_dir)
    with EmbeddedServer(data_dir, grace_seconds=0) as endpoint:
        made = make_base(source(endpoint.dsn), new.with_name("backup"), untold)
    assert restore(made, new, Goal(), replace=False, progress=untold).replaced is None
    with EmbeddedServer(new, grace_seconds=0) as endpoint:
        assert await used(endpoint.dsn) == 2 * PLAIN.total


@contextmanager
def an_older_server(place: Path) -> Iterator[str]:
    """Run the server of the major version before ours, as its own user, and give the address of its database."""
    if not (OLDER / "initdb").exists():
        pytest.skip("the wheel brings no older PostgreSQL")
    owner = owner_of(place / "cluster")
    place.mkdir()
    os.chown(place, owner.uid, owner.gid)
    programs = programs_for(owner).parents[1] / "pginstall" / "bin"
    if not programs.exists():
        pytest.skip("the server's user cannot run the older PostgreSQL here")
    run: dict[str, Any] = {"cwd": "/", "stdout": subprocess.DEVNULL, **owner.process_options()}
    with reachable(place, owner) as handle:
        run["pass_fds"] = handle.descriptors
        cluster = f"{handle.path}/cluster"
        subprocess.run([programs / "initdb", "-D", cluster, "-A", "trust", "-U", "postgres", "-N"], check=True, **run)
        sockets = Path(tempfile.mkdtemp(prefix="jangbu-test-"))
        os.chown(sockets, owner.uid, owner.gid)
        server = subprocess.Popen(
            [programs / "postgres", "-D", cluster, "-k", sockets, "-c", "listen_addresses="],
            stderr=subprocess.DEVNULL,
            cwd="/",
            pass_fds=handle.descriptors,
            **owner.process_options(),
        )
    try:
        wait_until((sockets / ".s.PGSQL.5432").exists)
        yield f"postgresql://postgres@/postgres?host={sockets}"
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(sockets)


async def test_a_ledger_of_an_older_postgresql_moves_to_this_one_as_rows(tmp_path: Path, new: Path) -> None:
    with an_older_server(tmp_path / "older") as dsn:
        await ready(dsn)
        await record(dsn, 3)
        await let_write(dsn, "only_there")
        made = make_portable(source(dsn, 16), tmp_path / "backup", untold)
    assert (made.postgresql, made.schema) == (16, migrate.HEAD)
    restore(find(tmp_path / "backup"), new, Goal(), replace=False, progress=untold)
    with EmbeddedServer(new, grace_seconds=0) as endpoint:
        assert await used(endpoint.dsn) == 3 * PLAIN.total
        await record(endpoint.dsn, 4)
        assert await used(endpoint.dsn) == 4 * PLAIN.total, "one answer is known again by its key"


async def let_write(dsn: str, role: str) -> None:
    """Let a role of this server alone work with the ledger, by policies."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE ROLE {role}")
        await connection.execute(worker_sql(role=role, project="default"))
    finally:
        await connection.close()


async def ready(dsn: str) -> None:
    while True:
        try:
            await (await asyncpg.connect(dsn)).close()
        except (OSError, asyncpg.CannotConnectNowError):
            await asyncio.sleep(0.05)
        else:
            return


def test_rows_of_a_later_postgresql_are_refused(tmp_path: Path, new: Path) -> None:
    with EmbeddedServer(tmp_path / "ledger", grace_seconds=0) as endpoint:
        asyncio.run(migrate.upgrade(endpoint.dsn))
        made = make_portable(source(endpoint.dsn, 19), tmp_path / "backup", untold)
    stop(tmp_path / "ledger")
    with pytest.raises(BackupUnusable, match="is of PostgreSQL 19, and this is 18"):
        restore(made, new, Goal(), replace=False, progress=untold)
    assert not new.exists()


async def test_everything_that_was_committed_is_in_the_archive_once_it_was_asked_for(
    data_dir: Path, new: Path, tmp_path: Path
) -> None:
    server = EmbeddedServer(data_dir, grace_seconds=0, wal_archive_dir=str(tmp_path / "it's 100% safe"))
    with server as endpoint:
        await record(endpoint.dsn, 1)
        made = make_base(source(endpoint.dsn), tmp_path / "backup", untold)
        await record(endpoint.dsn, 2)
        state = await archive_now(endpoint.dsn)
        assert (await archive_now(endpoint.dsn)).archived >= state.archived, "it also ends where nothing was written"
        assert (state.is_on, state.is_failing, state.failed) == (True, False, 0)
        archive = next((tmp_path / "it's 100% safe").iterdir())
        restore(made, new, Goal(archive=archive), replace=False, progress=untold)
    with EmbeddedServer(new, grace_seconds=0) as endpoint:
        assert await used(endpoint.dsn) == 2 * PLAIN.total


def archive_by_hand(archive: Path, segment: Path, name: str) -> int:
    command = archive_command(str(archive)).replace("%p", str(segment)).replace("%f", name)
    return subprocess.run(["sh", "-c", command], env={"PATH": os.defpath}, check=False).returncode


def test_the_archive_never_overwrites_and_takes_the_same_segment_twice(tmp_path: Path) -> None:
    archive, first, other = tmp_path / "archive", tmp_path / "first", tmp_path / "other"
    archive.mkdir()
    first.write_bytes(b"first" * 1000)
    other.write_bytes(b"other" * 1000)
    (archive / "0001.gz.part").write_bytes(b"what a kill left")
    assert archive_by_hand(archive, first, "0001") == 0
    assert archive_by_hand(archive, first, "0001") == 0
    assert archive_by_hand(archive, other, "0001") != 0
    assert gzip.decompress((archive / "0001.gz").read_bytes()) == first.read_bytes()
    assert [path.name for path in archive.iterdir()] == ["0001.gz"]
    assert archive_by_hand(tmp_path / "unmounted", first, "0001") != 0


def test_segments_are_named_as_postgresql_names_them() -> None:
    assert segment_number("0/8000028") == 8
    assert segment_name(1, 8) == "000000010000000000000008"
    assert segment_name(3, segment_number("2/FF000000")) == "0000000300000002000000FF"
    assert segment_number("1/0") * SEGMENT_BYTES == 2**32


def test_two_backups_to_one_place_do_not_disturb_each_other(tmp_path: Path) -> None:
    with unfinished(tmp_path / "backup") as first:
        (first / "file").touch()
        second = unfinished(tmp_path / "backup")
        with pytest.raises(InvalidInput, match="is being made; wait for it"):
            second.__enter__()
        assert (first / "file").exists()
    assert (tmp_path / "backup").exists()


def test_what_goes_wrong_in_a_program_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    nowhere = source(f"postgresql://kim:secret@/kim?host={tmp_path}")
    for make in (make_base, make_portable):
        with pytest.raises(BackupFailed) as caught:
            make(nowhere, tmp_path / "backup", untold)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing else may be there


@pytest.mark.parametrize(
    ("dsn", "bare", "secrets"),
    [
        ("postgresql://k:s%40@h:1/d?sslmode=require", "postgresql://k@h:1/d?sslmode=require", {"PGPASSWORD": "s@"}),
        ("postgresql://k@h/d?password=s&x=1", "postgresql://k@h/d?x=1", {"PGPASSWORD": "s"}),
        ("postgresql://h/d", "postgresql://h/d", {}),
    ],
)
def test_a_password_never_stands_in_an_argument(dsn: str, bare: str, secrets: dict[str, str]) -> None:
    assert without_secret(dsn) == (bare, secrets)


async def test_a_database_that_refuses_is_left_as_it_was(database_url: str, tmp_path: Path) -> None:
    await execute(database_url, "DROP SCHEMA jangbu CASCADE")
    with pytest.raises(BackupFailed, match="no matching schemas were found"):
        make_portable(source(database_url), tmp_path / "backup", untold)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing else may be there
