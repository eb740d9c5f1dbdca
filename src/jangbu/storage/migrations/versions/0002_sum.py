"""Sum tokens and nano-USD as the whole numbers that they are."""

from jangbu.storage.migrations.files import run_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the aggregate."""
    run_file("0002_sum.sql")
