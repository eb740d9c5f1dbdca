"""The locks of a server's home, and what a fork leaves of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest

from jangbu.storage.embedded.locks import FileLock
from tests.storage.embedded_processes import server_processes, wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")

PARENT = """
import os, sys
from pathlib import Path
from jangbu.storage.embedded.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.try_exclusive()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    {in_child}
    os.write(writer, b"forked")
    sys.stdin.read()
    os._exit(0)
os.read(reader, 6)
{in_parent}
print(child, flush=True)
sys.stdin.read()
"""
USER = """
import os, sys
from pathlib import Path
from jangbu.storage.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), grace_seconds=0)
address = server.ensure()
child = os.fork()
if child == 0:
    {in_child}
    os.close(1)
    sys.stdin.read()
    os._exit(0)
{in_parent}
print(child, flush=True)
sys.stdin.read()
"""


@contextmanager
def forked(program: str, path: Path, *, in_child: str = "pass", in_parent: str = "pass") -> Iterator["Popen[bytes]"]:
    """Run a program that has forked; both processes live until the block is left."""
    text = program.format(in_child=in_child, in_parent=in_parent)
    with Popen([sys.executable, "-c", text, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip().isdigit()
        yield process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.lock"


def test_a_lock_that_is_closed_is_free_though_a_forked_child_lives(path: Path) -> None:
    with forked(PARENT, path, in_parent="lock.close()"), FileLock(path) as lock:
        assert lock.try_exclusive()


def test_a_lock_of_a_killed_process_is_free_though_its_forked_child_lives(path: Path) -> None:
    with forked(PARENT, path) as process, FileLock(path) as lock:
        assert not lock.try_exclusive()
        process.kill()
        process.wait()
        assert lock.try_exclusive()


def test_a_forked_child_does_not_give_back_its_parents_lock(path: Path) -> None:
    with forked(PARENT, path, in_child="assert not lock.is_open; lock.close()"), FileLock(path) as lock:
        assert not lock.try_exclusive()


def test_a_server_stops_with_its_last_user_though_a_forked_child_lives(tmp_path: Path) -> None:
    with forked(USER, tmp_path / "ledger", in_parent="server.leave()"):
        wait_until(lambda: not server_processes(tmp_path / "ledger"))


def test_a_forked_child_that_asks_for_the_server_is_a_user_of_its_own(tmp_path: Path) -> None:
    in_parent = "os.read(reader, 6); server.leave()"
    program = USER.replace("child = os.fork()", "reader, writer = os.pipe()\nchild = os.fork()", 1)
    in_child = "assert server.ensure() == address; os.write(writer, b'joined')"
    with forked(program, tmp_path / "ledger", in_child=in_child, in_parent=in_parent) as process:
        process.kill()
        process.wait()
        assert server_processes(tmp_path / "ledger")
    wait_until(lambda: not server_processes(tmp_path / "ledger"))
