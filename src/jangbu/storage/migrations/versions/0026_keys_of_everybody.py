"""Find what a key stands for without asking each account."""

from jangbu.storage.migrations.files import run_file

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Begin the index of idempotency keys with the key."""
    run_file("0026_keys_of_everybody.sql")
