"""`jangbu serve` verifies the book by itself and shows how that ended."""

from collections.abc import Iterator

import pytest

from jangbu.storage.database import Database
from jangbu.testing import FakeGemini
from tests.cli.conftest import Jangbu
from tests.cli.service import UPSTREAM_KEY, eventually, serving


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with FakeGemini(api_key=UPSTREAM_KEY) as gemini:
        yield gemini


async def test_what_does_not_add_up_is_seen_while_it_serves(
    jangbu: Jangbu, gemini: FakeGemini, database: Database
) -> None:
    with serving(jangbu, "--workers", "2", gemini=gemini, JANGBU_VERIFY_SECONDS="1") as service:
        assert service.generate()[0] == 200
        eventually(lambda: service.metric("jangbu_verify_records") == 1)
        assert service.metric("jangbu_verify_mismatches") == 0
        async with database.connection() as connection:
            await connection.execute("UPDATE jangbu.balances SET granted = granted + 1 WHERE asset = 1")
        eventually(lambda: service.metric("jangbu_verify_mismatches") == 1)
        status, ready = service.json("/readyz")
        assert (status, ready["verified"]["mismatches"]) == (200, 1)
        assert service.generate()[0] == 200
        eventually(lambda: "verify.mismatch" in service.log.read_text())
    assert "tokens granted, by the entries of kim should be 1000000 and is 1000001" in service.log.read_text()
    assert jangbu("verify").code == 6
