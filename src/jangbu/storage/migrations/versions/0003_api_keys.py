"""Keep the gateway's keys."""

from jangbu.storage.migrations.files import run_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    run_file("0003_api_keys.sql")
