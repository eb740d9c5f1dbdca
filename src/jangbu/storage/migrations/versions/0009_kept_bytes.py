"""Know how much a user has the provider keep."""

from jangbu.storage.migrations.files import run_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column."""
    run_file("0009_kept_bytes.sql")
