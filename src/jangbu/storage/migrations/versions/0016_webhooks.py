"""Tell the app of its users."""

from jangbu.storage.migrations.files import run_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create the outbox of webhooks, and what its events are made of."""
    run_file("0016_webhooks.sql")
