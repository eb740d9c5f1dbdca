"""The ledger opened once, before any worker: ``python -m jangbu.cli.serve.opening``, started by ``serve --workers``.

The schema is brought up to date, what dead processes left behind is recorded, the first owner is offered, and what is
wrong is told once. It is a process of its own because a process that only watches has no use for all that it reads.
"""

import json
import pickle
import signal
import sys
from typing import Any

from jangbu.cli.exits import ExitCode
from jangbu.cli.serve.first_owner import offer_first_owner
from jangbu.cli.serve.lines import logging_as_set
from jangbu.cli.serve.loop import run
from jangbu.cli.serve.unusable_spool import tell_unusable_spool
from jangbu.cli.serve.workers import settings_of
from jangbu.errors import JangbuError
from jangbu.gateway.assembly import open_gateway
from jangbu.storage.embedded.cluster import die_with_parent
from jangbu.wiring import open_metering

__all__ = ["main"]


def main() -> int:
    """Open what the workers will open; write to standard output what the parent is to raise, if anything. It ends with
    its parent, which may be started again at once.
    """
    task = json.loads(sys.stdin.buffer.readline())
    if (ask := die_with_parent(signal.SIGTERM, task["parent"])) is not None:
        ask()
    try:
        run(_open(task))
    except JangbuError as error:
        sys.stdout.buffer.write(pickle.dumps(error))
        return ExitCode.FAILURE
    return ExitCode.OK


async def _open(task: dict[str, Any]) -> None:
    settings = settings_of(task)
    with logging_as_set(settings):
        async with open_metering(settings, writes=True) as metering, open_gateway(settings, metering):
            await offer_first_owner(settings, metering, task["url"])
            await tell_unusable_spool(metering)


if __name__ == "__main__":
    sys.exit(main())
