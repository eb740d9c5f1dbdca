"""Why something did not arrive, in Korean: whatever a sender can say has a text."""

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

import jangbu
from jangbu.alerts import egress
from jangbu.dashboard.texts import texts_of
from jangbu.dashboard.undelivered import undelivered

SAMPLES = ("503", "ValueError", "CERTIFICATE_VERIFY_FAILED")


def causes() -> list[str]:
    """Give why a receiver cannot be reached, as the sender words it."""
    tree = ast.parse(Path(egress.__file__).read_text(encoding="utf-8"))
    [cause] = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "_cause"]
    return [ast.literal_eval(each.value) for each in ast.walk(cause) if isinstance(each, ast.Return) and each.value]


def reasons() -> Iterator[tuple[str, ...]]:
    """Give each reason that the source makes, as what may be put in makes it."""
    for path in sorted(Path(jangbu.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args):
                continue
            if call.func.id == "AlertUndelivered":
                hint = "; what to do" if any(each.arg == "hint" for each in call.keywords) else ""
                yield tuple(f"{said}{hint}" for said in sayings(call.args[0]))


def sayings(said: ast.expr) -> Iterator[str]:
    if not isinstance(said, ast.JoinedStr):
        yield ast.literal_eval(said)
        return
    is_cause = "_cause(" in ast.unparse(said)
    parts = [
        (each.value,) if isinstance(each, ast.Constant) else (causes() if is_cause else SAMPLES) for each in said.values
    ]
    yield from ("".join(map(str, chosen)) for chosen in product(*parts))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_whatever_a_sender_says_is_told_in_the_language_of_the_page(language: str) -> None:
    texts = texts_of("ko" if language == "ko" else "en")
    made = list(reasons())
    assert len(made) > 10
    for each in made:
        told = [undelivered(texts, said) for said in each]
        assert any(told), each
        if "cannot be reached" in each[0]:
            assert len(set(filter(None, told))) == len(causes())
    assert undelivered(texts, "an older release said this") is None
