"""Keep who owns what lives at the provider."""

from jangbu.storage.migrations.files import run_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    run_file("0004_resources.sql")
