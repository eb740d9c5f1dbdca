"""The local write-ahead spool: what the database does not take in time is durable here, and drains into it later.

frames     the bytes, pure                   segment    one file, allocated before
store      the files, and what lies where    recovery   what is found after a crash
spool      the directory and its owner       records    what is kept of a usage record
copies     what the database is given, too    reservation  room for a record
status     looking at one from outside       disk       the port to the operating system
"""

from jangbu.metering.spool.records import Claim, Spooled, SpooledEnd, SpooledUsage, decode_record, encode_record
from jangbu.metering.spool.reservation import Reservation
from jangbu.metering.spool.spool import Record, Spool, Standing
from jangbu.metering.spool.status import Sight, look, records_in, spools_below

__all__ = [
    "Claim",
    "Record",
    "Reservation",
    "Sight",
    "Spool",
    "Spooled",
    "SpooledEnd",
    "SpooledUsage",
    "Standing",
    "decode_record",
    "encode_record",
    "look",
    "records_in",
    "spools_below",
]
