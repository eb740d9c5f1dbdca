"""Find quickly who called a seldom model or service."""

from jangbu.storage.migrations.files import run_file

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Have users' quarters of an hour found by model and service, too."""
    run_file("0021_quarters_by_part.sql")
