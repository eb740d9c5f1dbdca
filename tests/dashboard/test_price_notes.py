"""Why prices changed, in Korean: whatever Jangbu notes where nobody gave a reason has a text."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

import jangbu
from jangbu.dashboard.price_notes import price_note
from jangbu.dashboard.texts import texts_of
from tests.dashboard.conftest import Opens

SAMPLES = {"percent": "12.5", "parts": "125,000", "name": "may.json"}


def notes() -> Iterator[str]:
    """Give each note that the source makes, with samples for what it takes from elsewhere."""
    for path in sorted(Path(jangbu.__file__).parent.rglob("*price*.py")) + sorted(
        Path(jangbu.__file__).parent.rglob("pricing.py")
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.BoolOp(op=ast.Or(), values=[given, said]) if ast.unparse(given).endswith("note"):
                    yield from written(said)
                case ast.Assign(targets=[ast.Name(id="note")], value=said):
                    yield from written(said)
                case ast.Assign(targets=[ast.Name(id="said")], value=ast.JoinedStr() as said):
                    yield from written(said)


def written(said: ast.expr) -> Iterator[str]:
    match said:
        case ast.Constant(value=str() as text) if text:
            yield text
        case ast.IfExp(body=body, orelse=other):
            yield from (*written(body), *written(other))
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else sample(part) for part in parts)


def sample(part: ast.expr) -> str:
    taken = ast.unparse(part)
    if "meter" in taken:
        return "input"
    if "model" in taken:
        return "gemini-2.5-*"
    return "0.3" if "usd" in taken else next((SAMPLES[each] for each in SAMPLES if each in taken), "12.5")


def test_whatever_is_noted_is_told_in_korean() -> None:
    made = list(notes())
    assert len(made) >= 10, made
    for note in made:
        told = price_note(texts_of("ko"), note)
        assert told != note
        assert re.search("[가-힣]", told)
        assert price_note(texts_of("en"), note), "and in English"


@pytest.mark.parametrize("note", ["the contract of May", "terms of May"])
def test_what_a_person_wrote_stays_as_it_is(note: str) -> None:
    assert price_note(texts_of("ko"), note) == note


@pytest.mark.asyncio(loop_scope="session")
async def test_the_prices_page_says_it_in_the_language_of_the_page(opens: Opens) -> None:
    page = await opens("/prices", language="ko")
    await expect(page.locator("#page")).to_contain_text("Jangbu에 포함된 가격표")
    await expect(page.locator("#page")).not_to_contain_text("the shipped book")
