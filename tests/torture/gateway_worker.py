"""A gateway's process: what `jangbu serve` runs, on a socket that outlives it, until it is killed."""

import socket
import time

from jangbu.cli.serve.loop import run
from jangbu.cli.serve.process import serve_on
from jangbu.errors import DatabaseUnreachable
from tests.torture.body import prepare, settings_of
from tests.torture.plan import Life
from tests.torture.terms import Terms
from tests.torture.words import Say

__all__ = ["live"]

_PAUSE_SECONDS = 0.02


def live(life: Life, terms: Terms, listener: socket.socket, say: Say) -> None:
    """Serve until the end, as soon as the database is there."""
    prepare(life, say)
    settings = settings_of(life, terms)
    while True:
        try:
            run(serve_on(settings, [listener], None, lambda _stopping: say("ready")))
        except DatabaseUnreachable:
            time.sleep(_PAUSE_SECONDS)
        else:
            return
