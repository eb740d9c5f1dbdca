"""Find quickly what is open, undelivered, of a kind or of a user among hundreds of thousands of rows."""

from jangbu.storage.migrations.files import run_file

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Have lists and counts read what they show, and nothing else."""
    run_file("0022_lists.sql")
