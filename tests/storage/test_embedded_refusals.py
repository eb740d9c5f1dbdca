"""What the embedded server refuses: one clear line, what to do about it, and nothing changed."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jangbu.errors import DatabaseUnreachable, DataDirectoryInUse, DataDirectoryUnusable, InvalidSettings
from jangbu.storage.embedded import EmbeddedServer, default_data_dir, stop
from jangbu.storage.embedded.cluster import reachable
from jangbu.storage.embedded.liveness import Liveness, knock
from jangbu.storage.embedded.owner import Owner, owner_of
from jangbu.storage.embedded.places import make_socket_dir, places_of
from jangbu.storage.embedded.postmaster import start
from jangbu.storage.embedded.programs import programs_for
from tests.storage.embedded_processes import cluster_of, server_processes, wait_until

LATE_WORDS = """#!/bin/sh
(sleep 1; echo "PANIC:  could not locate a valid checkpoint record" >> "{log}") &
exit 1
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that was used and stopped."""
    data_dir = tmp_path_factory.mktemp("kept")
    with EmbeddedServer(data_dir, grace_seconds=0):
        pass
    stop(data_dir)
    return data_dir


@pytest.fixture
def data_dir(kept: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, to be spoilt."""
    subprocess.run(["cp", "-a", kept, tmp_path / "ledger"], check=True)
    yield tmp_path / "ledger"
    stop(tmp_path / "ledger")


def contents(directory: Path) -> dict[str, bytes]:
    """Everything but the locks and the logs, which tell of the attempt."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
        and path.suffix not in {".lock", ".log"}
        and path.name not in {"current_logfiles", "postmaster.opts"}
    }


def another_major(cluster: Path) -> None:
    (cluster / "PG_VERSION").write_text("16\n")


def garbled_version(cluster: Path) -> None:
    (cluster / "PG_VERSION").write_bytes(b"\xff\xfe")


def missing_control_file(cluster: Path) -> None:
    (cluster / "global" / "pg_control").unlink()


def garbled_control_file(cluster: Path) -> None:
    (cluster / "global" / "pg_control").write_bytes(b"\x5a" * 8192)


def missing_log_of_changes(cluster: Path) -> None:
    for segment in (cluster / "pg_wal").glob("0*"):
        segment.unlink()


def missing_password(cluster: Path) -> None:
    (cluster.parent / "password").unlink()


def wrong_password(cluster: Path) -> None:
    (cluster.parent / "password").write_text("*:*:*:jangbu:guess\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (another_major, "was made by PostgreSQL 16, and this is 18"),
        (garbled_version, "is damaged: PG_VERSION cannot be read"),
        (missing_control_file, "is damaged: global/pg_control is missing"),
        (garbled_control_file, "is damaged"),
        (missing_log_of_changes, "is damaged"),
        (missing_password, "password is missing"),
        (wrong_password, "is not the server's"),
    ],
)
def test_data_that_cannot_be_used_is_refused_and_left_alone(
    data_dir: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(cluster_of(data_dir))
    before = contents(data_dir)
    with pytest.raises(DataDirectoryUnusable, match=words) as refusal:
        EmbeddedServer(data_dir, grace_seconds=0).ensure()
    assert "\n" not in str(refusal.value)
    assert refusal.value.hint
    wait_until(lambda: not server_processes(data_dir))
    if spoil is not wrong_password:
        assert contents(data_dir) == before


def test_the_reason_is_the_last_that_this_server_said_however_late_it_is_written(tmp_path: Path) -> None:
    """A program of its own writes the server's log, and ends after it; what earlier servers said stands there, too."""
    places, ourselves = places_of(tmp_path / "ledger"), Owner("", os.geteuid(), os.getegid())
    places.log_dir.mkdir(parents=True)
    log = places.log_dir / "postgresql-Mon.log"
    log.write_text("FATAL:  sorry, too many clients already\n")

    def patiently(milliseconds: int) -> bool:
        time.sleep(milliseconds / 1000)
        return True

    program = tmp_path / "postgres"
    program.write_text(LATE_WORDS.format(log=log))
    program.chmod(0o755)
    with pytest.raises(DataDirectoryUnusable, match="valid checkpoint record"):
        start(places, ourselves, tmp_path, tmp_path, patiently)
    program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(DatabaseUnreachable, match="it left no word"):
        start(places, ourselves, tmp_path, tmp_path, patiently)


@contextmanager
def foreign_server(data: Path, socket_dir: Path) -> Iterator[None]:
    """A server that somebody started by hand on the data."""
    owner = owner_of(data)
    with reachable(data, owner) as handle:
        process = subprocess.Popen(
            [programs_for(owner) / "postgres", "-D", handle.path, "-k", socket_dir, "-c", "logging_collector=off"],
            pass_fds=handle.descriptors,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            **owner.process_options(),
        )
    try:
        wait_until(lambda: knock(socket_dir) is Liveness.SERVING)
        yield
        assert knock(socket_dir) is Liveness.SERVING, "the foreign server was left alone"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def foreign_socket_dir(kept: Path) -> Iterator[Path]:
    """A socket directory that our own server would not choose."""
    directory = make_socket_dir(places_of(kept), owner_of(cluster_of(kept)))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def test_data_under_a_foreign_server_are_in_use(data_dir: Path, foreign_socket_dir: Path) -> None:
    with foreign_server(cluster_of(data_dir), foreign_socket_dir):
        with pytest.raises(DataDirectoryInUse, match="another PostgreSQL server") as refusal:
            EmbeddedServer(data_dir).ensure()
        assert "stop it" in refusal.value.hint
    with EmbeddedServer(data_dir, grace_seconds=0):
        pass


def test_a_directory_that_is_itself_a_foreign_servers_is_not_written(data_dir: Path, foreign_socket_dir: Path) -> None:
    theirs = cluster_of(data_dir)
    names = sorted(path.name for path in theirs.iterdir())
    with pytest.raises(DataDirectoryUnusable, match="data directory of another PostgreSQL"):
        EmbeddedServer(theirs).ensure()
    assert sorted(path.name for path in theirs.iterdir()) == names
    with foreign_server(theirs, foreign_socket_dir), pytest.raises(DataDirectoryInUse):
        EmbeddedServer(theirs).ensure()


def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataDirectoryUnusable, match="cannot be created"):
        EmbeddedServer(tmp_path / "file").ensure()


def test_a_link_in_place_of_a_lock_is_not_followed(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    lock = data_dir / "postgresql" / "supervisor.lock"
    lock.unlink()
    lock.symlink_to(tmp_path / "precious")
    with pytest.raises(DataDirectoryUnusable, match="lock file"):
        EmbeddedServer(data_dir).ensure()
    lock.unlink()
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_socket_directory_that_others_may_enter_is_not_used(data_dir: Path) -> None:
    places = places_of(data_dir)
    owner = owner_of(places.cluster)
    first = make_socket_dir(places, owner)
    first.chmod(0o755)
    try:
        try:
            other: Path | None = make_socket_dir(places, owner)
        except DatabaseUnreachable:
            other = None
        assert other != first
    finally:
        first.rmdir()
        if other is not None:
            other.rmdir()


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 4_000_000_000)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    with pytest.raises(InvalidSettings, match="JANGBU_DATA_DIR"):
        default_data_dir()


def test_the_ledger_lies_where_the_system_keeps_such_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/jangbu")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/kim")
    monkeypatch.setenv("XDG_DATA_HOME", "not/absolute")
    assert default_data_dir() == Path("/home/kim/.local/share/jangbu")
    monkeypatch.setenv("XDG_DATA_HOME", "/data/kim")
    assert default_data_dir() == Path("/data/kim/jangbu")


def test_data_of_another_user_are_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = cluster_of(data_dir).stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    with pytest.raises(DataDirectoryUnusable, match="belongs to user"):
        owner_of(cluster_of(data_dir))


def test_whoever_owns_the_data_runs_the_server(data_dir: Path) -> None:
    found = cluster_of(data_dir).stat()
    owner = owner_of(cluster_of(data_dir))
    assert owner == Owner(owner.name, found.st_uid, found.st_gid)
