"""Find the blocked users among all."""

from jangbu.storage.migrations.files import run_file

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Make an index of the blocked accounts."""
    run_file("0027_blocked_users.sql")
