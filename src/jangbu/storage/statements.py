"""The SQL statements: one a file, read once, called by their names."""

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """Give the text of ``queries/<name>.sql``."""
    return files("jangbu.storage").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


def statement_names() -> tuple[str, ...]:
    """Give the names of all statements, sorted."""
    folder = files("jangbu.storage").joinpath("queries")
    return tuple(sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql")))
