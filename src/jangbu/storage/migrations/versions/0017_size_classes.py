"""Classify sizes faster."""

from jangbu.storage.migrations.files import run_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Replace the function that gives the class of a size."""
    run_file("0017_size_classes.sql")
