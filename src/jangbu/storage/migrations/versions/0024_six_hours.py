"""Keep what everybody used by six hours, too."""

from jangbu.storage.migrations.files import run_file

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Have a chart of days add up nine rows for each instead of 24, by the clock of any zone."""
    run_file("0024_six_hours.sql")
