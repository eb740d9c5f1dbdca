"""How a revision runs a file of SQL."""

from importlib.resources import files

from alembic import op


def run_file(name: str) -> None:
    """Run ``storage/schema/<name>`` as it stands.

    Colons are escaped because Alembic would read them as parameters.
    """
    text = files("jangbu.storage").joinpath("schema", name).read_text(encoding="utf-8")
    op.execute(text.replace(":", r"\:"))
