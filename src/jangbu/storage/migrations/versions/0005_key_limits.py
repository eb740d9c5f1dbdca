"""Count what the keys that have limits use, for all gateways together."""

from jangbu.storage.migrations.files import run_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables, and name the key in what is settled later."""
    run_file("0005_key_limits.sql")
