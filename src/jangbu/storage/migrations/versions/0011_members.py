"""Keep who may sign in, who has, and who changed what."""

from jangbu.storage.migrations.files import run_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create members, sessions, set-up links, failures to sign in and the audit."""
    run_file("0011_members.sql")
