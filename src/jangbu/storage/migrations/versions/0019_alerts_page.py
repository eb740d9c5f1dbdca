"""Acknowledge and resolve findings, mute alerts, test channels."""

from jangbu.storage.migrations.files import run_file

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the states of findings, the mutes, and what became of tests."""
    run_file("0019_alerts_page.sql")
