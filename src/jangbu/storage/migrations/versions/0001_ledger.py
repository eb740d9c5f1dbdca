"""Make the ledger."""

from jangbu.storage.migrations.files import run_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the schema, its tables and the guide's views."""
    run_file("0001_ledger.sql")
