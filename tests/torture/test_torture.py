"""Processes that are killed wherever it hurts, a database that crashes, commits that nobody is told of: all adds up.

It takes about 4 minutes on two cores. `make torture KILLS=100000` goes on for longer.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.torture.__main__ import torture, torture_the_guide
from tests.torture.plan import Kind
from tests.torture.points import POINTS
from tests.torture.report import figures, shown
from tests.torture.stage import ROOT, standing
from tests.torture.tally import Goals, Tally

SEED = int(os.environ.get("JANGBU_SEED", random.randrange(2**32)))
KILLS = int(os.environ.get("JANGBU_TORTURE_KILLS", "2000"))
POINT_KILLS = 10
GOALS = Goals(kills=KILLS, restarts=15, ambiguous=100, gateway_kills=KILLS // 10, point_kills=POINT_KILLS)


@pytest.mark.timeout(1500)
async def test_2000_kills_and_15_crashes_of_the_database_lose_nothing() -> None:
    tally = Tally()
    with standing() as stage:
        await torture(stage, SEED, GOALS, tally)
    shown({"Jangbu": tally}, SEED)
    assert tally.wrong == [], f"JANGBU_SEED={SEED}"
    promised = ("lost", "twice", "drift", "leaked", "untraceable")
    assert {name: figures(tally)[name] for name in promised} == dict.fromkeys(promised, 0)
    assert tally.least is not None
    assert tally.least >= 0, "no tokens below zero"
    # A run in which nothing happens proves nothing.
    assert tally.killed >= GOALS.kills
    assert tally.kills[Kind.GATEWAY] >= GOALS.gateway_kills
    assert tally.restarts >= GOALS.restarts
    assert tally.ambiguous.total() >= GOALS.ambiguous
    assert {name: tally.points[name] for name in POINTS if tally.points[name] < POINT_KILLS} == {}
    assert tally.whole > tally.killed // 2
    assert tally.orphans > 100
    assert tally.refused["spool_full"] > 0, "who has no room for a record makes no call"
    assert tally.refused["insufficient_balance"] > 0, "balances were spent to the end"
    assert tally.looks > 50


@pytest.mark.timeout(300)
async def test_a_bug_that_was_put_in_is_found() -> None:
    tally = Tally()
    with standing() as stage:
        await torture(stage, SEED, Goals(kills=40), tally, mutant="a record is acknowledged too early")
    assert tally.lost > 0
    assert tally.wrong != []


@pytest.mark.timeout(300)
async def test_the_guides_design_loses_under_the_same() -> None:
    tally = Tally()
    with standing() as stage:
        await torture_the_guide(stage, SEED, Goals(kills=150, restarts=2, ambiguous=5), tally)
    shown({"the guide's design": tally}, SEED)
    assert tally.wrong == []
    assert tally.untraceable > 0
    assert tally.drift > 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_who_is_told_to_end_reports_and_leaves_nothing(told: signal.Signals, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.torture", "--seconds", "60"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    process.stderr.readline()
    process.stderr.readline()
    # It starts them one after another, and kills some at once.
    deadline = time.monotonic() + 30
    while len(started := _descendants(process.pid)) <= 5:
        assert time.monotonic() < deadline, "too few processes"
        time.sleep(0.05)
    process.send_signal(told)
    report, said = process.communicate(timeout=120)
    assert b"LOST: received, not recorded" in report
    assert said.decode().splitlines()[-1] == "stopped: the round under way was not judged, so this proves nothing"
    assert b"Traceback" not in said
    assert process.returncode == 128 + signal.SIGINT
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.1)
    assert list(tmp_path.iterdir()) == []


def _descendants(pid: int) -> set[int]:
    children = {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    for child in tuple(children):
        try:
            children |= _descendants(child)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return children
