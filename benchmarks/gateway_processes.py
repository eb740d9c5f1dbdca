"""Processes: started, stopped, and what they cost: CPU time and memory of whole trees, read from /proc (Linux)."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS = 0.05
_STOP_SECONDS_MAX = 20
_PROC = Path("/proc")
_PARENT, _TIMES = 1, slice(11, 15)
"""Places in /proc/PID/stat after the name: the parent; the times of the process and of the children it has reaped."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of some processes in MB: pages counted once for each process (RSS), or shared out among them (PSS)."""

    rss: float = 0.0
    pss: float = 0.0

    def highest(self, other: "Memory") -> "Memory":
        """Give the greater of each figure."""
        return Memory(max(self.rss, other.rss), max(self.pss, other.pss))


def start(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, in a folder, with its output in a file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command, env=os.environ | dict(environment), cwd=folder, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program in order, then whatever is left of its session."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def tree(root: int | None) -> frozenset[int]:
    """Give a process and all its living descendants."""
    if root is None:
        return frozenset()
    children: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and (stat := _stat(int(folder.name))):
            children.setdefault(int(stat[_PARENT]), []).append(int(folder.name))
    found, waiting = {root}, [root]
    while waiting:
        new = [child for child in children.get(waiting.pop(), ()) if child not in found]
        found.update(new)
        waiting.extend(new)
    return frozenset(found)


def cpu_seconds(processes: frozenset[int]) -> float:
    """Give the user and system time that processes have used, with that of the children that they have reaped."""
    return sum(sum(map(int, _stat(process)[_TIMES])) for process in processes) / _TICKS_A_SECOND


def memory(processes: frozenset[int]) -> Memory:
    """Give the memory of processes as it is now."""
    rss = pss = 0
    for process in processes:
        with contextlib.suppress(OSError):
            for line in (_PROC / str(process) / "smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    rss += int(line.split()[1])
                elif line.startswith("Pss:"):
                    pss += int(line.split()[1])
    return Memory(rss / 1000, pss / 1000)


@contextmanager
def peak_memory(processes: Callable[[], frozenset[int]]) -> Iterator[Callable[[], Memory]]:
    """Sample the memory of processes 20 times a second while the context lasts; what it gives tells the peak so far."""
    peak, done = memory(processes()), threading.Event()

    def sample() -> None:
        nonlocal peak
        while not done.wait(_SAMPLE_SECONDS):
            peak = peak.highest(memory(processes()))

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield lambda: peak
    finally:
        done.set()
        sampler.join()


def process_named(*words: str) -> int | None:
    """Give the process whose command line holds all these words as arguments, if there is one."""
    wanted = {word.encode() for word in words}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted <= set((folder / "cmdline").read_bytes().split(b"\0")):
                    return int(folder.name)
    return None


def busy_share(seconds: float) -> float:
    """Give the share of the machine's CPU time that is in use over so many seconds; on a quiet machine it is little."""
    before = _machine()
    time.sleep(seconds)
    used, idle = (now - then for now, then in zip(_machine(), before, strict=True))
    return used / (used + idle)


def _machine() -> tuple[int, int]:
    """Give the ticks that all processors were in use and idle."""
    times = [int(word) for word in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = times[3] + times[4]
    return sum(times) - idle, idle


def _stat(process: int) -> list[str]:
    try:
        text = (_PROC / str(process) / "stat").read_text()
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()
