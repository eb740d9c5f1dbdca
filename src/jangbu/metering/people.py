"""The parts that know the people who run the ledger, put together: members, their sessions, and what they changed."""

from dataclasses import dataclass

from jangbu.clock import Clock
from jangbu.metering.attempts import Attempts
from jangbu.metering.audit import Audit
from jangbu.metering.members import Members
from jangbu.metering.passwords import Passwords
from jangbu.metering.recognition import Recognition
from jangbu.metering.sessions import Sessions
from jangbu.storage.database import Database

__all__ = ["People", "people_of"]


@dataclass(frozen=True, slots=True)
class People:
    """The members of one project, their sessions and the audit of what they changed."""

    members: Members
    sessions: Sessions
    audit: Audit


def people_of(database: Database, clock: Clock, *, project: str, passwords: Passwords | None = None) -> People:
    """Put the parts together for one project."""
    audit, passwords = Audit(database, clock, project=project), passwords or Passwords()
    attempts = Attempts(database, project=project)
    members = Members(database, clock, passwords, attempts, audit, project=project)
    recognition = Recognition(database, clock, members, audit, project=project)
    sessions = Sessions(database, clock, passwords, attempts, recognition, audit, project=project)
    return People(members, sessions, audit)
