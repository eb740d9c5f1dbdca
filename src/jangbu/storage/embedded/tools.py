"""PostgreSQL's own programs for backups, run to their end: what they say on the way, and why they failed."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jangbu.errors import BackupFailed
from jangbu.storage.embedded.cluster import die_with_parent
from jangbu.storage.embedded.programs import program

_SHORTAGE = ("No space left on device", "Disk quota exceeded", "File too large")
_COMPLAINTS = ("error: ", "FATAL: ", "ERROR: ")
_LINES_KEPT = 50


def run_tool(
    name: str,
    arguments: Sequence[str | Path],
    *,
    secrets: Mapping[str, str] | None = None,
    told: Callable[[str], None] | None = None,
) -> None:
    """Run a program of PostgreSQL; ``told`` gets each line that it says. It ends when this process is killed.

    Secrets go into its environment, never into its arguments, which every user of the machine may read. Raises
    BackupFailed with its complaint.
    """
    with subprocess.Popen(  # noqa: S603 - a program of the wheel
        [program(name), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd="/",
        env={"LC_ALL": "C", "PATH": os.defpath, **(secrets or {})},
        umask=0o077,
        preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - it asks for a signal and runs no Python after it
    ) as process:
        assert process.stderr is not None, "its words come through a pipe"
        said: list[str] = []
        for line in process.stderr:
            said = [*said[-_LINES_KEPT:], line.strip()]
            if told is not None:
                told(line.strip())
    if process.returncode != 0:
        raise _failure(name, process.returncode, said)


def _failure(name: str, code: int, said: Sequence[str]) -> BackupFailed:
    complaints = [line for line in said if any(sign in line for sign in _COMPLAINTS)]
    words = next((line for line in complaints if any(sign in line for sign in _SHORTAGE)), None)
    if words is not None or code == -signal.SIGXFSZ:
        return BackupFailed(f"there is no room: {_bare(words or name)}", hint="make room or name another directory")
    words = (complaints or [line for line in said if line] or [f"it ended with {code}"])[0]
    return BackupFailed(f"{name}: {_bare(words)}", hint="nothing was changed; put that right and try again")


def _bare(words: str) -> str:
    """Give a complaint without the name of the program and the word error."""
    for sign in _COMPLAINTS:
        words = words.rpartition(sign)[2]
    return words.strip()
