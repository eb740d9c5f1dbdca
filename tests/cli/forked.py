"""A command in a process of its own that need not read its modules first: most of what a short command does is that.

The process is forked from one that has read them. What a start from nothing does is tested by commands that are given
settings of their own, and by every server that is started.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from jangbu.cli.main import main

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["jangbu.cli.app", "jangbu.wiring", __name__])


def run_forked(
    words: Sequence[str], stdin: bytes | None, directory: Path, environment: Mapping[str, str], seconds: int
) -> "subprocess.CompletedProcess[bytes]":
    """Run the command; raises TimeoutExpired for one that is not done in time."""
    with tempfile.TemporaryDirectory() as folder:
        out, err, given = (Path(folder) / name for name in ("out", "err", "in"))
        given.write_bytes(stdin or b"")
        process = _FORKS.Process(target=_become, args=(words, environment, directory, (given, out, err)))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(words), seconds, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess(list(words), process.exitcode, out.read_bytes(), err.read_bytes())


def _become(words: Sequence[str], environment: Mapping[str, str], directory: Path, streams: Sequence[Path]) -> None:
    for number, path in enumerate(streams):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115 - they are the process's as long as it lives
    sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8")  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["jangbu", *words]
    main(words)
