"""Keep the files of batches as they were judged."""

from jangbu.storage.migrations.files import run_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column."""
    run_file("0006_file_uses.sql")
