"""A fail-over to a standby that has nothing of what was recorded: the spools on all disks have to bring it back."""

from collections.abc import Sequence

from jangbu.metering.draining import Draining
from jangbu.metering.spool import spools_below
from jangbu.metering.spool_drain import drain_again
from jangbu.storage.database import Database
from tests.metering.spool.memory_disk import MemoryDisk
from tests.simulation.auditor import Auditor
from tests.simulation.book import Book
from tests.simulation.loop import VirtualLoop
from tests.simulation.machine import SPOOLS
from tests.simulation.pool import Pool
from tests.simulation.server import Server
from tests.simulation.weather import Weather


class Operator:
    """Who sends the records again: nothing befalls them."""

    is_alive = True

    def reaches(self, what: str) -> bool:
        del what
        return False


async def fail_over(
    loop: VirtualLoop, book: Book, weather: Weather, machines: Sequence[MemoryDisk], auditor: Auditor
) -> int:
    """Send what the machines keep to a book that has nothing but the accounts; give how many answers that were.

    The ``auditor`` is the standby's own; it hears what is wrong.
    """
    pool = Pool(Server(loop, book, weather, lambda *_told: None), Operator(), 2)
    write = Draining(Database(pool)).write
    for _ in range(2):
        for machine in machines:
            for directory in spools_below(SPOOLS, disk=machine):
                await drain_again(directory, write, machine)
    for account in book.accounts.values():
        auditor.look(account)
    auditor.all_are_back()
    return sum(len(account.usage) for account in book.accounts.values())
