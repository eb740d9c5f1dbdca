"""Every SQL file: one statement, a reason, one place that calls it, and a server that accepts it."""

import re
from pathlib import Path

import pytest

from jangbu.storage.database import Database
from jangbu.storage.statements import statement, statement_names

SOURCE = Path(__file__).parents[2] / "src/jangbu"


@pytest.mark.parametrize("name", statement_names())
def test_a_query_says_why_and_is_one_statement(name: str) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", name)
    text = statement(name)
    assert text.startswith("-- "), "the first line says why the statement exists"
    code = re.sub(r"--[^\n]*|'(?:[^']|'')*'", "", text)
    assert ";" not in code
    assert not re.search(r"SELECT\s+\*\s+FROM\s+jangbu\.", code), "columns are named"


@pytest.mark.parametrize("name", statement_names())
def test_a_query_has_one_caller(name: str) -> None:
    quoted = re.compile(rf'"{name}"')
    callers = [path for path in SOURCE.rglob("*.py") if quoted.search(path.read_text())]
    resolved = name.endswith("_resolve") and (SOURCE / "storage/names.py").exists()
    assert resolved or len({path.parent for path in callers}) == 1, callers


async def test_the_server_accepts_every_query(database: Database) -> None:
    async with database.connection() as connection:
        for name in statement_names():
            await connection.prepare(statement(name))
