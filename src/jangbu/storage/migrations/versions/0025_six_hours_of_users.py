"""Keep what each user used by six hours, too."""

from jangbu.storage.migrations.files import run_file

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Have a chart of a user's days add up nine rows for each instead of 24, by the clocks of most zones."""
    run_file("0025_six_hours_of_users.sql")
