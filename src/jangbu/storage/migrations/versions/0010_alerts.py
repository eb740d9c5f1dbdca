"""Keep alerts until they are delivered."""

from jangbu.storage.migrations.files import run_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the outbox, and have findings tell whether they were alerted about."""
    run_file("0010_alerts.sql")
