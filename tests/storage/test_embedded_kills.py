"""Kill -9 of any of the embedded server's processes: nothing acknowledged is lost and nothing stays behind."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from jangbu.storage.embedded import EmbeddedServer, stop
from jangbu.storage.embedded.locks import SUPERVISOR
from jangbu.storage.embedded.owner import owner_of
from jangbu.storage.embedded.places import make_socket_dir, places_of
from tests.storage.embedded_processes import (
    PATIENCE_SECONDS,
    UserProcess,
    cluster_of,
    kill_at_once,
    postmaster_of,
    server_processes,
    supervisor_of,
    supervisors,
    wait_until,
)

# asyncpg reports a server that dies in the middle of a statement in any of these ways.
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    data_dir = tmp_path / "ledger"
    yield data_dir
    stop(data_dir)
    # Where the supervisor was killed nobody was left to remove it.
    shutil.rmtree(make_socket_dir(places_of(data_dir), owner_of(cluster_of(data_dir))))


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(data_dir, grace_seconds=0)
    yield server
    server.leave()


async def answers(dsn: str, question: str = "SELECT 1") -> int:
    """Ask again until the server is back."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                connection = await asyncpg.connect(dsn)
                number: int = await connection.fetchval(question)
                await connection.close()
            except LOST:
                await asyncio.sleep(0.05)
            else:
                return number


def test_no_server_outlives_a_killed_app(data_dir: Path) -> None:
    user = UserProcess(data_dir)
    assert user.said().startswith("postgresql://")
    user.kill()
    wait_until(lambda: not server_processes(data_dir))


def test_a_killed_app_does_not_take_the_server_from_others(data_dir: Path, server: EmbeddedServer) -> None:
    user = UserProcess(data_dir)
    user.said()
    endpoint = server.ensure()
    running = postmaster_of(data_dir)
    user.kill()
    assert server.ensure() == endpoint
    assert postmaster_of(data_dir) == running


async def test_every_acknowledged_row_survives_the_death_of_all_server_processes(
    data_dir: Path, server: EmbeddedServer
) -> None:
    dsn = server.ensure().dsn
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE acknowledged (number bigint PRIMARY KEY)")
    for round_number in range(3):
        acknowledged = round_number * 1000
        writer = asyncio.create_task(write_until_refused(dsn, first=acknowledged))
        await asyncio.sleep(0.2)
        kill_at_once([pid for pid in server_processes(data_dir) if pid != supervisor_of(data_dir)])
        written = await writer
        assert written, "the writer was at work when the server died"
        server.ensure()
        found = await answers(dsn, f"SELECT count(*) FROM acknowledged WHERE number = ANY('{{{','.join(written)}}}')")
        assert found == len(written)
    connection.terminate()


async def write_until_refused(dsn: str, first: int) -> list[str]:
    connection = await asyncpg.connect(dsn)
    written: list[str] = []
    try:
        for number in range(first, first + 100_000_000):
            await connection.execute("INSERT INTO acknowledged VALUES ($1) ON CONFLICT DO NOTHING", number)
            written.append(str(number))
    except LOST:
        connection.terminate()
    return written


async def test_a_killed_postmaster_comes_back_for_its_users_at_the_same_address(
    data_dir: Path, server: EmbeddedServer
) -> None:
    dsn = server.ensure().dsn
    killed = postmaster_of(data_dir)
    kill_at_once([killed])
    assert await answers(dsn) == 1
    assert postmaster_of(data_dir) != killed


async def test_a_killed_supervisor_comes_back_for_its_users(data_dir: Path, server: EmbeddedServer) -> None:
    dsn = server.ensure().dsn
    killed = supervisor_of(data_dir)
    kill_at_once([killed])
    wait_until(lambda: (data_dir / "postgresql" / "supervisor.lock").read_text() not in {"", str(killed)})
    assert await answers(dsn) == 1
    server.leave()
    wait_until(lambda: not server_processes(data_dir))


def test_no_server_outlives_its_supervisor_and_its_users(data_dir: Path) -> None:
    user = UserProcess(data_dir)
    user.said()
    user.kill()
    kill_at_once([supervisor_of(data_dir)])
    wait_until(lambda: not server_processes(data_dir))


async def test_the_next_user_recovers_from_the_death_of_everything(data_dir: Path) -> None:
    user = UserProcess(data_dir)
    dsn = user.said()
    processes = server_processes(data_dir)
    kill_at_once(processes)
    user.kill()
    with EmbeddedServer(data_dir, grace_seconds=0) as endpoint:
        assert endpoint.dsn == dsn
        assert await answers(dsn) == 1


def test_a_user_joins_the_server_that_a_killed_user_was_just_starting(data_dir: Path) -> None:
    with EmbeddedServer(data_dir, grace_seconds=0):
        pass
    stop(data_dir)
    # The supervisor of the server that was stopped may take a moment more to end than the server.
    wait_until(lambda: not supervisors(data_dir))
    # The one that the user starts is stopped while it loads its modules, and the killed user's comes first.
    user, second = user_whose_supervisor_stands_still(data_dir)
    command = [sys.executable, "-m", "jangbu.storage.embedded.supervisor", str(data_dir), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        wait_until(lambda: (data_dir / "postgresql" / SUPERVISOR).read_text() == str(first.pid))
        os.kill(second, signal.SIGCONT)
        assert user.said().startswith("postgresql://")
        assert supervisors(data_dir) == [first.pid]
        user.end()
        assert first.communicate(timeout=PATIENCE_SECONDS)[0] == b"{}\n"


def user_whose_supervisor_stands_still(data_dir: Path) -> tuple[UserProcess, int]:
    """Start users until one's supervisor is stopped before it opens the lock that makes it one."""
    while True:
        user = UserProcess(data_dir)
        wait_until(lambda: supervisors(data_dir))
        [supervisor] = supervisors(data_dir)
        stand_still(supervisor)
        if data_dir / "postgresql" / SUPERVISOR not in opened_by(supervisor):
            return user, supervisor
        user.kill()
        kill_at_once([supervisor])
        wait_until(lambda: not server_processes(data_dir))


def stand_still(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: "State:\tT" in Path(f"/proc/{pid}/status").read_text())


def opened_by(pid: int) -> set[Path]:
    return {entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()}


def test_death_in_the_middle_of_the_first_start_is_harmless(data_dir: Path) -> None:
    user = UserProcess(data_dir)
    home = data_dir / "postgresql"
    wait_until(lambda: list(home.glob("cluster.new-*/global")))
    kill_at_once([supervisor_of(data_dir)])
    user.kill()
    with EmbeddedServer(data_dir, grace_seconds=0):
        assert list(home.glob("cluster.new-*")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="a process's state is read from /proc")
@pytest.mark.parametrize("program", [["true"], ["sleep", "600"]], ids=["zombie", "id given away"])
def test_a_process_with_the_dead_servers_id_does_not_keep_the_data(data_dir: Path, program: list[str]) -> None:
    with EmbeddedServer(data_dir, grace_seconds=0):
        note = (cluster_of(data_dir) / "postmaster.pid").read_text().splitlines()
    stop(data_dir)
    owner = cluster_of(data_dir).stat()
    identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    become: dict[str, Any] = identity if os.geteuid() == 0 else {}
    process = subprocess.Popen(program, **become)
    try:
        note[0] = str(process.pid)
        (cluster_of(data_dir) / "postmaster.pid").write_text("\n".join(note))
        with EmbeddedServer(data_dir, grace_seconds=0):
            assert postmaster_of(data_dir) != process.pid
    finally:
        process.kill()
        process.wait()
