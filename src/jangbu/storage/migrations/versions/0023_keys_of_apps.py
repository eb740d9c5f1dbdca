"""Find the keys of apps among those of many users."""

from jangbu.storage.migrations.files import run_file

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Have the filter of a user's calls by key offer what there is, and look at nothing else."""
    run_file("0023_keys_of_apps.sql")
