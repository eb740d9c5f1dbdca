"""Keep what signs the tokens of users' own views."""

from jangbu.storage.migrations.files import run_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the secrets, one for each project that needs one."""
    run_file("0014_view_keys.sql")
