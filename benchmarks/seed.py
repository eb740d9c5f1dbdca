"""Fill a ledger with calls that nobody made: `make seed ROWS=10000000 USERS=10000`.

    python -m benchmarks.seed [--rows N] [--users N] [--data-dir DIRECTORY] [--seconds N]

The ledger lies in a directory of its own. With --seconds it stops when so many are over, and goes on when it is run
again.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.seeding import seed
from jangbu.storage import migrate
from jangbu.storage.embedded import EmbeddedServer

DIRECTORY = Path(__file__).parents[1] / "build/seed"
_STOPPED = 75
"""The exit code of what is to be run again."""


def main() -> int:
    """Make the calls, with a bar that shows how far it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="how many calls")
    parser.add_argument("--users", type=int, default=1_000, help="of how many users")
    parser.add_argument("--data-dir", type=Path, default=DIRECTORY, help="where the ledger lies")
    parser.add_argument("--seconds", type=float, default=1e9, help="how long it may take at this time")
    options = parser.parse_args()
    options.data_dir.parent.mkdir(parents=True, exist_ok=True)
    with EmbeddedServer(options.data_dir) as endpoint:
        is_done = asyncio.run(_fill(endpoint.dsn, options))
    if not is_done:
        print("time is up; run the same again and it goes on")
        return _STOPPED
    print(f"the ledger lies in {options.data_dir}; look at it with: JANGBU_DATA_DIR={options.data_dir} make serve")
    return 0


async def _fill(dsn: str, options: argparse.Namespace) -> bool:
    await migrate.upgrade(dsn)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("calls", total=options.rows)
        try:
            return await seed(
                dsn,
                "default",
                options.rows,
                options.users,
                seconds=options.seconds,
                tell=lambda done: bar.update(task, completed=done),
            )
        except ValueError as error:
            raise SystemExit(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
