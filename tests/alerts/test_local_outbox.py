"""Alerts that wait on a machine: whole or not there, kept by whoever lives, told once in their interval."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from jangbu.alerts import local_outbox
from jangbu.alerts.local_outbox import LocalOutbox, Waiting, with_outcome
from jangbu.domain.alerts import Alert, Condition, Phase
from jangbu.domain.mutes import Mute

SECOND_NS = 1_000_000_000
PUT_FOR_EVER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4
from jangbu.alerts.local_outbox import LocalOutbox, Waiting
from jangbu.domain.alerts import Alert, Condition, Phase
outbox = LocalOutbox(Path(sys.argv[1]))
while True:
    alert = Alert(uuid4(), "p", Condition.TEST, Phase.BEGAN, "k", "n", datetime.now(UTC), {"what": "x" * 5000})
    assert outbox.put(Waiting(alert))
    print(alert.id, flush=True)
"""
HOLD = """
import sys
from pathlib import Path
from jangbu.alerts.local_outbox import LocalOutbox
print(len(LocalOutbox(Path(sys.argv[1])).waiting()), flush=True)
sys.stdin.read()
"""


def waiting(ago: int = 0) -> Waiting:
    moment = datetime.now(UTC) - timedelta(seconds=ago)
    return Waiting(Alert(uuid4(), "장부", Condition.OVERRUN, Phase.BEGAN, "k", "n", moment, {"findings": 3, "m": "가"}))


def test_what_is_put_is_found_again_with_what_became_of_it(tmp_path: Path) -> None:
    late, early = waiting(), waiting(ago=60)
    first = LocalOutbox(tmp_path / "made")
    for each in (late, early):
        assert first.put(each)
    noted = with_outcome(late, ("webhook",), {"slack": "the service did not take it"}, settled=False)
    first.put(noted)
    assert LocalOutbox(tmp_path / "made").waiting() == [early, noted]
    assert noted.attempts == 1


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    LocalOutbox(tmp_path / "made").put(waiting())
    modes = {path.stat().st_mode & 0o077 for path in [tmp_path / "made", *(tmp_path / "made").iterdir()]}
    assert modes == {0}


def test_one_process_has_them_until_it_dies(tmp_path: Path) -> None:
    outbox = LocalOutbox(tmp_path)
    outbox.put(waiting())
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "1\n"
    assert outbox.waiting() == []
    other.kill()
    other.communicate()
    assert len(outbox.waiting()) == 1


def test_every_alert_that_was_put_outlives_a_kill_and_none_is_torn(tmp_path: Path) -> None:
    put: set[str] = set()
    for _ in range(15):
        process = subprocess.Popen(
            [sys.executable, "-c", PUT_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(1 + int.from_bytes(os.urandom(1)) % 20)]
        process.send_signal(signal.SIGKILL)
        put |= {line.strip() for line in [*lines, *process.communicate()[0].splitlines()] if len(line.strip()) == 36}
    outbox = LocalOutbox(tmp_path)
    found = {str(each.alert.id) for each in outbox.waiting()}
    assert put <= found, "what its raiser was told is kept"
    assert len(found) == len(list(tmp_path.glob("*.json"))), "no file is torn"
    assert len(found) - len(put) <= 15


def test_what_a_killed_process_had_begun_is_removed_later(tmp_path: Path) -> None:
    LocalOutbox(tmp_path).put(waiting())
    old, new = tmp_path / "a.1.part", tmp_path / "b.1.part"
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (0, 0))
    assert len(LocalOutbox(tmp_path).waiting()) == 1
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 1}', b"\xff\xfe", b'{"id": "no id"}'])
def test_a_file_that_cannot_be_read_is_in_nobodys_way(tmp_path: Path, content: bytes) -> None:
    outbox = LocalOutbox(tmp_path)
    outbox.put(kept := waiting())
    (tmp_path / "other.json").write_bytes(content)
    assert outbox.waiting() == [kept]


def test_there_is_room_for_so_many_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_outbox, "FILES_MAX", 3)
    outbox = LocalOutbox(tmp_path)
    kept = [waiting() for _ in range(3)]
    assert all(outbox.put(each) for each in kept)
    assert all(outbox.put(waiting()) for _ in range(3)), "as many wait in memory"
    assert not outbox.put(waiting())
    assert outbox.put(with_outcome(kept[0], (), {}, settled=True)), "what is there already may change"
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_the_same_is_due_once_in_its_interval_for_all(tmp_path: Path) -> None:
    now = time.time_ns()
    one, two = LocalOutbox(tmp_path), LocalOutbox(tmp_path)
    assert one.is_due("k", now_ns=now, repeat_ms=45_000)
    assert not two.is_due("k", now_ns=now + 44 * SECOND_NS, repeat_ms=45_000)
    assert two.is_due("other", now_ns=now, repeat_ms=45_000)
    assert two.is_due("k", now_ns=now + 45 * SECOND_NS, repeat_ms=45_000)
    assert one.is_due("k", now_ns=now - 3600 * SECOND_NS, repeat_ms=45_000), (
        "a clock that was set back silences nothing"
    )


def test_what_was_told_within_a_mute_is_due_when_that_is_over(tmp_path: Path) -> None:
    now, began = time.time_ns(), datetime.now(UTC)
    outbox = LocalOutbox(tmp_path)

    def is_due(seconds: int, *mutes: Mute) -> bool:
        return outbox.is_due("k", now_ns=now + seconds * SECOND_NS, repeat_ms=3_600_000, mutes=mutes)

    def mute(begin: int, end: int) -> Mute:
        times = began + timedelta(seconds=begin), began + timedelta(seconds=end)
        return Mute(uuid4(), Condition.VERIFY_MISMATCH, *times, "a repair", "kim")

    assert is_due(0)
    assert not is_due(50, mute(-60, -1)), "the mute was over when it was told"
    assert not is_due(50, mute(10, 20)), "it was told before the mute began"
    assert not is_due(50, mute(-60, 60)), "the mute is not over"
    assert is_due(50, mute(-60, 40)), "nobody was told"
    assert not is_due(55, mute(-60, 40)), "by now somebody was"


def test_where_its_directory_cannot_be_looked_at_alerts_wait_in_memory(tmp_path: Path) -> None:
    # For a name that is too long the system has an error, as it has for a directory without rights, whoever asks.
    outbox = LocalOutbox(tmp_path / ("long" * 100))
    assert outbox.waiting() == []
    outbox.put(kept := waiting())
    assert outbox.waiting() == [kept]
    assert outbox.is_due("same", now_ns=0, repeat_ms=1_000)


def test_without_a_directory_alerts_wait_in_memory() -> None:
    outbox = LocalOutbox(None)
    outbox.put(kept := waiting())
    assert outbox.waiting() == [kept]
    outbox.remove(kept.alert.id)
    assert outbox.waiting() == []
