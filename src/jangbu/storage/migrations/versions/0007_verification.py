"""Remember what was verified."""

from jangbu.storage.migrations.files import run_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables, and tell in the views of sums from which ids on they are."""
    run_file("0007_verification.sql")
