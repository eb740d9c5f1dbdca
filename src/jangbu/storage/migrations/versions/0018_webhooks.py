"""Tell the app of its users."""

from jangbu.storage.migrations.files import run_file

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Create the outbox of webhooks, and what its events are made of."""
    run_file("0018_webhooks.sql")
