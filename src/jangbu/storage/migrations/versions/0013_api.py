"""Keep what the API needs."""

from jangbu.storage.migrations.files import run_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the verifications that were asked for."""
    run_file("0013_api.sql")
