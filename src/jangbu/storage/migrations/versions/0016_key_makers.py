"""Have keys tell which key made them."""

from jangbu.storage.migrations.files import run_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the maker to keys."""
    run_file("0016_key_makers.sql")
