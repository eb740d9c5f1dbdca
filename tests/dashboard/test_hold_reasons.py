"""Why calls ended without a deduction, in Korean: whatever the gateway and the SDK can note has a text."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import jangbu
from jangbu.dashboard.hold_reasons import hold_reason
from jangbu.dashboard.texts import texts_of
from jangbu.gateway.upstream_answer import KeyRefused

ENDINGS = frozenset({"Lost", "Rejected", "UpstreamFailure"})
SAMPLES = ("cannot be reached", "did not answer", "503")


def sayings(said: ast.expr) -> Iterator[str]:
    """Give what an expression may say, with samples for what it takes from elsewhere."""
    if isinstance(said, ast.Constant):
        yield str(said.value)
    elif isinstance(said, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else None for part in said.values]
        for sample in SAMPLES:
            yield "".join(sample if part is None else part for part in parts)


def reasons() -> Iterator[tuple[str, ...]]:
    """Give each reason that the source notes, or may note."""
    for path in sorted(Path(jangbu.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match call:
                case ast.Call(func=ast.Name(id=name), args=[said, *_]) if name in ENDINGS:
                    if made := tuple(sayings(said)):
                        yield made


@pytest.mark.parametrize("language", ["en", "ko"])
def test_whatever_ends_a_call_is_told_in_the_language_of_the_page(language: str) -> None:
    texts = texts_of("ko" if language == "ko" else "en")
    made = list(reasons())
    assert len(made) > 25
    for each in made:
        assert any(hold_reason(texts, said) for said in each), each


@pytest.mark.parametrize("number", [1, None])
def test_a_key_that_is_refused_is_told_in_the_language_of_the_page(number: int | None) -> None:
    said = hold_reason(texts_of("ko"), KeyRefused("API_KEY_INVALID", number).message)
    assert said is not None
    assert "API_KEY_INVALID" in said


def test_what_a_person_wrote_stays_as_it_is() -> None:
    assert hold_reason(texts_of("ko"), "looked into it, the answer never came") is None
