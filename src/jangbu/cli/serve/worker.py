"""One worker: ``python -m jangbu.cli.serve.worker``, started by ``jangbu serve --workers`` and by nobody else."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

from jangbu.cli.exits import exit_code
from jangbu.cli.output import tell_error
from jangbu.cli.serve.certificate import Certificate
from jangbu.cli.serve.loop import run
from jangbu.cli.serve.process import serve_on
from jangbu.cli.serve.stopping import Stopping
from jangbu.cli.serve.workers import READY, settings_of
from jangbu.errors import JangbuError

__all__ = ["main"]


def main() -> int:
    """Serve on the sockets that the parent opened, until told to stop or until the parent is gone."""
    task = json.loads(sys.stdin.buffer.readline())
    listeners = [socket.socket(fileno=number) for number in task["listeners"]]
    certificate = None if task["certificate"] is None else Certificate(*(Path(file) for file in task["certificate"]))
    try:
        run(serve_on(settings_of(task), listeners, certificate, _ready))
    except JangbuError as error:
        tell_error(error.code, error.message, error.hint, as_json=False)
        return exit_code(error)
    return 0


def _ready(stopping: Stopping) -> None:
    """Tell the parent, and stop when it is gone."""

    def read() -> None:
        if not os.read(sys.stdin.fileno(), 1):
            loop.remove_reader(sys.stdin.fileno())
            if not stopping.is_asked:
                stopping.ask()

    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), read)
    os.write(sys.stdout.fileno(), READY)


if __name__ == "__main__":
    sys.exit(main())
