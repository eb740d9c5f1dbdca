"""Remember what was verified."""

from jangbu.storage.migrations.files import run_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the tables, and tell in the views of sums from which ids on they are."""
    run_file("0008_verification.sql")
