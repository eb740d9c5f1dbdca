"""The embedded PostgreSQL: a real server of our own, started for whoever uses a data directory and stopped after them.

    server = EmbeddedServer(data_dir)
    endpoint = server.ensure()      # starts the server, or attaches to the one that runs
    ...asyncpg.connect(endpoint.dsn)...
    server.leave()

Life of the server. The first user starts a detached supervisor process, and that starts PostgreSQL as its child.
Each user holds a shared file lock for as long as it uses the server, so the kernel itself tells when a user has gone,
``kill -9`` included. The supervisor stops the server a few seconds after the last user has gone, and starts it again
when it dies under its users. When the supervisor is killed, PostgreSQL shuts down with it and the users start both
again. No process is left over in any case, and no user has to be the first, the last or well behaved.

    places      where everything lies                 locks       who uses, who starts, who supervises
    programs    the binaries from the wheel           owner       the system user that the server runs as
    cluster     making and judging the data           postmaster  starting, stopping, finding the server process
    liveness    does it answer?                       supervisor  the detached process
    server      what an app holds                     launch      joining, or starting the supervisor
    backups     what a backup is on disk              backup      making one, of files or of rows
    manifest    whether its files are whole           archive     the log of changes, kept for a point in time
    restore     from a backup to a ledger in place    transfer    filling a new cluster; recovery: up to when
"""

from jangbu.storage.embedded.places import default_data_dir
from jangbu.storage.embedded.programs import program
from jangbu.storage.embedded.server import EmbeddedServer, Endpoint, stop

__all__ = ["EmbeddedServer", "Endpoint", "default_data_dir", "program", "stop"]
