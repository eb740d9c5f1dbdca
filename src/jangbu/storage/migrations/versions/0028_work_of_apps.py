"""Tell work that apps began by themselves from what a gateway began."""

from jangbu.storage.migrations.files import run_file

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add the column to resources and to what lists them."""
    run_file("0028_work_of_apps.sql")
