"""Joining the server that runs, or starting the supervisor that starts it. The caller holds the start lock."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from jangbu.errors import DatabaseUnreachable, DataDirectoryInUse, DataDirectoryUnusable, InvalidSettings, JangbuError
from jangbu.storage.embedded.liveness import Liveness
from jangbu.storage.embedded.locks import is_supervised
from jangbu.storage.embedded.places import Places
from jangbu.storage.embedded.postmaster import last_words, look, read_running

_SUPERVISOR = "jangbu.storage.embedded.supervisor"
_SILENCE_MS = 60_000
"""How long a server may say nothing. One that says that it is recovering is waited for, however long it takes."""
_POLL_MS = 10
_LAUNCHES_MOST = 3
_WELL = "{}"
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG")
_PASSED_ON_PREFIXES = ("PYTHON", "LD_", "DYLD_", "LC_")
_ERRORS: dict[str, type[JangbuError]] = {
    error.code: error for error in (DatabaseUnreachable, DataDirectoryInUse, DataDirectoryUnusable, InvalidSettings)
}


def join_server(places: Places, grace_seconds: int) -> tuple[Path, "subprocess.Popen[bytes] | None"]:
    """Give the socket directory of a server that serves, and the supervisor if it had to be started.

    Raises what the supervisor reports: DataDirectoryInUse, DataDirectoryUnusable or DatabaseUnreachable.
    """
    said = ""
    for _ in range(_LAUNCHES_MOST):
        socket_dir = _await_running(places)
        if socket_dir is not None:
            return socket_dir, None
        process = _launch(places, grace_seconds)
        try:
            said = _await_report(places, process)
        except DatabaseUnreachable:
            process.terminate()
            raise
        if said == _WELL:
            socket_dir = _await_running(places)
            if socket_dir is not None:
                return socket_dir, process
        process.wait()
        _raise_reported(said)
    raise DatabaseUnreachable(
        f"the supervisor of PostgreSQL ended without a word: {said or 'it was killed'}", hint="try again"
    )


def _await_running(places: Places) -> Path | None:
    """Wait until the supervised server serves; give None as soon as nobody supervises one."""
    deadline = time.monotonic_ns() + _SILENCE_MS * 1_000_000
    while is_supervised(places.home):
        running = read_running(places.cluster)
        match look(running):
            case Liveness.SERVING if running is not None:
                return running.socket_dir
            case Liveness.STARTING:
                deadline = time.monotonic_ns() + _SILENCE_MS * 1_000_000
        _check_deadline(places, deadline)
        time.sleep(_POLL_MS / 1000)
    return None


def _launch(places: Places, grace_seconds: int) -> "subprocess.Popen[bytes]":
    """Start the supervisor in a session of its own, so that no signal to the app's group or terminal reaches it.

    It finds its modules as we do, and inherits no secret from our environment.
    """
    environment = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)  # noqa: PTH100
    try:
        return subprocess.Popen(  # noqa: S603 - ourselves
            [_python(), "-P", "-m", _SUPERVISOR, str(places.data_dir), str(grace_seconds)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise DatabaseUnreachable(
            f"the supervisor of PostgreSQL cannot be started: {error}", hint="see that the Python interpreter can run"
        ) from error


def _python() -> str:
    """Give the interpreter; in an app server that embeds Python, ``sys.executable`` is something else."""
    if Path(sys.executable).name.startswith("python"):
        return sys.executable
    return str(Path(sys.prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


def _await_report(places: Places, process: "subprocess.Popen[bytes]") -> str:
    """Read the supervisor's report: its last line, or nothing where it died first."""
    assert process.stdout is not None, "the report comes through a pipe"
    deadline = time.monotonic_ns() + _SILENCE_MS * 1_000_000
    text = b""
    with process.stdout as pipe:
        while True:
            ready, _, _ = select.select([pipe], [], [], 1)
            if ready:
                piece = os.read(pipe.fileno(), 65_536)
                text += piece
                if not piece:
                    break
                continue
            if look(read_running(places.cluster)) is Liveness.STARTING:
                deadline = time.monotonic_ns() + _SILENCE_MS * 1_000_000
            _check_deadline(places, deadline)
    return (text.decode("utf-8", "replace").strip().splitlines() or [""])[-1]


def _check_deadline(places: Places, deadline_ns: int) -> None:
    if time.monotonic_ns() > deadline_ns:
        raise DatabaseUnreachable(
            f"PostgreSQL has not answered for {_SILENCE_MS // 1000} s: {last_words(places) or 'it left no word'}",
            hint=f"see {places.log_dir}",
        )


def _raise_reported(said: str) -> None:
    try:
        report = json.loads(said)
        kind = _ERRORS[report["code"]]
    except (ValueError, KeyError, TypeError):
        return
    raise kind(report["message"], hint=report["hint"])
