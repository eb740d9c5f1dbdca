"""Roll up in two steps, by quarters of an hour for each user and by minutes for all, and list users in any order."""

from jangbu.storage.migrations.files import run_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the recent and the lasting rollups instead of the daily and the hourly ones, and the directory."""
    run_file("0012_rollups.sql")
