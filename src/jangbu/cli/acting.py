"""In whose name a command changes something, for the audit."""

import getpass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jangbu.domain.members import Actor

__all__ = ["me"]


def me() -> "Actor":
    """Give whoever runs the command, by the name that the machine knows them by."""
    from jangbu.domain.members import Actor

    try:
        return Actor.of_command(getpass.getuser())
    except (OSError, KeyError, ImportError):
        return Actor.of_command("somebody at the machine")
