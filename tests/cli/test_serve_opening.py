"""What `serve --workers` does before a worker is started: a process of its own opens the ledger once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Jangbu
from tests.cli.service import eventually
from tests.ports import free_port


def children(pid: int, named: str) -> list[int]:
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            if named in Path(f"/proc/{child}/cmdline").read_text():
                found.append(int(child))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@contextmanager
def opening(jangbu: Jangbu) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Give a service that has just begun to open its ledger, and the process that opens it."""
    command = [sys.executable, "-m", "jangbu", "serve", "--workers", "2", "--port", str(free_port())]
    process = subprocess.Popen(
        command, cwd=jangbu.directory, env=jangbu.environment, stdout=-1, stderr=-1, stdin=-3, text=True
    )
    try:
        while not (found := children(process.pid, "jangbu.cli.serve.opening")):
            assert process.poll() is None
            time.sleep(0.005)
        yield process, found[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_ledger_that_is_not_opened_is_told(jangbu: Jangbu) -> None:
    with opening(jangbu) as (process, opener):
        os.kill(opener, signal.SIGKILL)
        out, errors = process.communicate()
        assert (process.returncode, out) == (1, "")
        assert errors == "error: the ledger cannot be opened; see what was written to standard error\n"


def test_an_interrupt_ends_what_opens_the_ledger_too(jangbu: Jangbu) -> None:
    with opening(jangbu) as (process, opener):
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert process.returncode == 130
        assert not Path(f"/proc/{opener}").exists()


def test_what_opens_the_ledger_does_not_outlive_a_parent_that_is_killed(jangbu: Jangbu) -> None:
    with opening(jangbu) as (process, opener):
        process.kill()
        process.wait()
        eventually(lambda: not Path(f"/proc/{opener}").exists())


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_wrong_is_told_as_one_process_tells_it(offline: Jangbu, *, as_json: bool) -> None:
    words = ("--json",) if as_json else ()
    ended = [offline("serve", "--port", str(free_port()), "--workers", workers, *words) for workers in "12"]
    assert ended[0].code == ended[1].code == 7
    assert ended[0].err == ended[1].err


def test_who_only_watches_has_imported_nothing_of_what_workers_do() -> None:
    code = "import sys, jangbu.cli.serve.start, jangbu.cli.serve.workers; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "jangbu.cli.serve.workers" in imported
    needless = {"aiohttp", "asyncpg", "fastapi", "uvicorn", "jangbu.gateway", "jangbu.wiring", "jangbu.metering"}
    assert needless.isdisjoint(imported)
