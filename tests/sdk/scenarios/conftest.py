"""A metered client of the installed google-genai, on a fake Gemini and a real ledger."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jangbu import Meter, Settings
from jangbu.testing import FakeGemini
from tests.sdk.scenarios.stage import BALANCE, USER, Stage


@pytest.fixture
def gemini(tmp_path: Path) -> Iterator[FakeGemini]:
    with FakeGemini(log=tmp_path / "answers.jsonl") as gemini:
        yield gemini


@pytest.fixture
def meter(database_url: str) -> Iterator[Meter]:
    meter = Meter.open(database_url)
    meter.__enter__()
    meter.create(USER)
    meter.grant(USER, BALANCE, key="bought")
    yield meter
    meter.close()


@pytest.fixture
async def stage(meter: Meter, gemini: FakeGemini) -> AsyncIterator[Stage]:
    stage = Stage(meter, gemini)
    yield stage
    await stage.close()


@pytest.fixture
async def elsewhere(database_url: str, stage: Stage) -> AsyncIterator[Stage]:
    """A client of another process: it shares the ledger and remembers nothing of what was asked for here."""
    with Meter.open(settings=Settings.load(database_url=database_url)) as meter:
        elsewhere = Stage(meter, stage.gemini)
        yield elsewhere
        await elsewhere.close()


@pytest.fixture
def secure_gemini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGemini]:
    with FakeGemini(log=tmp_path / "answers.jsonl", tls=True) as gemini:
        assert gemini.certificate is not None
        monkeypatch.setenv("SSL_CERT_FILE", str(gemini.certificate))
        yield gemini


@pytest.fixture
async def secure_stage(meter: Meter, secure_gemini: FakeGemini) -> AsyncIterator[Stage]:
    stage = Stage(meter, secure_gemini)
    yield stage
    await stage.close()
