"""Chain the entries of each account and asset by hashes."""

from jangbu.storage.migrations.files import run_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make room for the hashes; the chains of entries that are there already are made afterwards, page by page."""
    run_file("0007_chain.sql")
