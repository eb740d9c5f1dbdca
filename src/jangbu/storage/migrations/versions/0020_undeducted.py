"""Count the calls that balances did not cover, and find those quickly for which nothing was deducted."""

from jangbu.storage.migrations.files import run_file

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the counts of refused calls, and an index of holds that ended without a deduction."""
    run_file("0020_undeducted.sql")
