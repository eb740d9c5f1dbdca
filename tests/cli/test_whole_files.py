"""Files that commands write: whole or not at all, and what is no file is written to as it is."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jangbu.cli.whole_files import write_pieces
from jangbu.errors import JangbuError
from tests.cli.conftest import Jangbu

_SLOW = """
import asyncio
import sys
from jangbu.cli.whole_files import write_pieces

async def pieces():
    yield b"half"
    print("begun", flush=True)
    await asyncio.sleep(60)

asyncio.run(write_pieces(pieces(), sys.argv[1]))
"""


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"one\n", b"two\n"):
        yield piece


def write(path: Path) -> int:
    return asyncio.run(write_pieces(pieces(), str(path)))


def test_a_pipe_and_a_device_stay_what_they_are(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert write(pipe) == 2
    reader.join(10)
    assert read == [b"one\ntwo\n"]
    device = tmp_path / "device"
    device.symlink_to("/dev/null")
    assert write(device) == 2
    assert (device.is_char_device(), device.is_symlink()) == (True, True)


def test_a_link_stays_one_and_what_it_points_at_is_written(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for name, text in (("old.csv", "old"), ("new.csv", None)):
        file, link = tmp_path / "kept" / name, tmp_path / name
        if text is not None:
            file.write_text(text)
        link.symlink_to(file)
        write(link)
        assert (link.is_symlink(), file.is_symlink(), file.read_text()) == (True, False, "one\ntwo\n")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["new.csv", "old.csv"]


def test_what_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    for path in (tmp_path, tmp_path / "round", tmp_path / "missing/calls.csv"):
        with pytest.raises(JangbuError, match="cannot be written"):
            write(path)


def test_a_process_that_is_told_to_end_leaves_nothing_half_written(tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text("the last one")
    words = [sys.executable, "-c", _SLOW, str(file)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (128 + signal.SIGTERM, b"")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("calls.csv", "the last one")]


def test_a_file_without_a_name_is_no_file(offline: Jangbu) -> None:
    for words in (("usage", "export", "--all"), ("ledger", "export", "kim")):
        refused = offline(*words, "--out", "")
        assert (refused.code, "has no name" in refused.error_line) == (2, True), words


def test_a_dash_is_standard_output_as_it_is_standard_input(jangbu: Jangbu) -> None:
    jangbu.ok("accounts", "create", "kim")
    jangbu.ok("grant", "kim", "1000", "--key", "order-1")
    written = jangbu.ok("ledger", "export", "kim", "--out", "-").out
    assert [json.loads(line).get("delta") for line in written.splitlines()][1:-1] == [1_000]
    assert jangbu.ok("usage", "export", "kim", "--out", "-").out.startswith("user,")
