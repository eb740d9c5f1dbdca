"""A writer that is killed 500 times: what it was told is durable, is."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

from tests.metering.spool.writer import name_of, open_spool, payload_of, write

KILLS = 500


def test_500_kills_of_a_writer_lose_and_invent_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("JANGBU_SEED", random.randrange(2**32)))
    chance = random.Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.metering.spool.writer"])
    acknowledged: set[bytes] = set()
    committed: set[bytes] = set()
    killed_in_order = 0
    for life in range(KILLS):
        read, send = context.Pipe(duplex=False)
        process = context.Process(target=_write, args=(tmp_path / "spool", life, send), daemon=True)
        process.start()
        send.close()
        wanted = chance.randint(1, 6)
        said = b""
        while said.count(b"a ") < wanted and (more := _read(read.fileno())):
            said += more
        # Somewhere in the midst of what comes next.
        time.sleep(chance.random() * 0.003)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        while more := _read(read.fileno()):
            said += more
        read.close()
        killed_in_order += process.exitcode == -signal.SIGKILL
        for line in said.splitlines():
            (acknowledged if line.startswith(b"a ") else committed).add(line[2:])
        if life % 25 == 24:
            _check(tmp_path / "spool", acknowledged, committed, seed)
    assert killed_in_order == KILLS, "each writer wrote until it was killed"
    assert len(acknowledged) > KILLS


def _check(directory: Path, acknowledged: set[bytes], committed: set[bytes], seed: int) -> None:
    spool = open_spool(directory)
    found = {name_of(record.payload): record.payload for record in spool.pending(100_000)}
    lost = acknowledged - committed - found.keys()
    assert not lost, f"JANGBU_SEED={seed}: acknowledged and lost: {sorted(lost)}"
    for name, payload in found.items():
        # A record of which its writer was killed before it could say so was written all the same.
        life, number = name.split(b":")
        assert payload == payload_of(int(life), int(number)), f"JANGBU_SEED={seed}: record {name!r} was invented"
    assert not any(finding.lost for finding in spool.findings)
    spool.close()


def _write(directory: Path, life: int, connection: "multiprocessing.connection.Connection") -> None:
    write(directory, life, connection.fileno())


def _read(pipe: int) -> bytes:
    return os.read(pipe, 65_536)
