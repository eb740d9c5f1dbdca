"""In whose name a command changes something, for the audit."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jangbu.domain.members import Actor

__all__ = ["me"]


def me() -> "Actor":
    """Give whoever runs the command, by the name that the machine knows them by."""
    from jangbu.metering.audit import whoever_acts

    return whoever_acts()
