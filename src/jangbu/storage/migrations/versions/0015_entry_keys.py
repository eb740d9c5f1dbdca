"""Keep with an entry the key under which it was made, and find entries by their kind."""

from jangbu.storage.migrations.files import run_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the key to entries, and the index of those that are no usage."""
    run_file("0015_entry_keys.sql")
