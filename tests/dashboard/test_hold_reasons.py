"""Why calls ended without a deduction, in Korean: whatever Jangbu itself notes has a text."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import jangbu
from jangbu.dashboard.hold_reasons import hold_reason
from jangbu.dashboard.texts import texts_of
from jangbu.gateway.upstream_answer import KeyRefused

SOURCE = Path(jangbu.__file__).parent
ENDED_IN = (
    "domain/flow.py",
    "metering/endings.py",
    "metering/holds.py",
    "metering/later.py",
    "metering/spool/records.py",
    "storage/holds.py",
)
"""Where holds end: whatever takes a reason there is asked for what is given to it, everywhere."""
SAMPLES = ("cannot be reached", "did not answer", "503")


def sayings(said: ast.expr, assigned: Mapping[str, Sequence[ast.expr]]) -> Iterator[tuple[str, ...]]:
    """Give what an expression may say; what it takes from elsewhere has samples, one of which will do."""
    match said:
        case ast.Constant(value=str(text)) if text:
            yield (text,)
        case ast.JoinedStr(values=values):
            parts = [str(part.value) if isinstance(part, ast.Constant) else None for part in values]
            yield tuple("".join(sample if part is None else part for part in parts) for sample in SAMPLES)
        case ast.IfExp(body=body, orelse=otherwise):
            yield from sayings(body, assigned)
            yield from sayings(otherwise, assigned)
        case ast.Name(id=name):
            for each in assigned.get(name, ()):
                yield from sayings(each, {})


def assignments(module: ast.AST) -> Mapping[str, Sequence[ast.expr]]:
    """Give what is assigned to each name of a module, wherever in it."""
    found = defaultdict(list)
    for each in ast.walk(module):
        match each:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name].append(value)
    return found


def parameters(definition: ast.AST) -> Sequence[str]:
    """Give what a class or a function takes by its place."""
    match definition:
        case ast.ClassDef(body=body):
            return [
                line.target.id for line in body if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
            ]
        case ast.FunctionDef(args=taken) | ast.AsyncFunctionDef(args=taken):
            return [each.arg for each in taken.args if each.arg != "self"]
    return ()


def endings() -> Mapping[str, set[int]]:
    """Give the names of what takes a reason, with its place among the arguments."""
    found = {"UpstreamFailure": {0}}
    for name in ENDED_IN:
        for each in ast.walk(ast.parse((SOURCE / name).read_text(encoding="utf-8"))):
            if "reason" in (taken := parameters(each)):
                assert isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                found.setdefault(each.name, set()).add(taken.index("reason"))
    return found


def reasons() -> Iterator[tuple[str, ...]]:
    """Give each reason that the source notes, or may note."""
    places = endings()
    for path in sorted(SOURCE.rglob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        assigned = assignments(module)
        for each in ast.walk(module):
            match each:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=given, keywords=named):
                    said = [given[place] for place in places.get(name, ()) if place < len(given)]
                    said += [keyword.value for keyword in named if keyword.arg == "reason" and name in places]
                    for expression in said:
                        yield from sayings(expression, assigned)
    for path in sorted((SOURCE / "storage" / "queries").glob("hold_*.sql")):
        for written in re.findall(r"reason = '([^']+)'", path.read_text(encoding="utf-8")):
            yield (written,)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_whatever_ends_a_call_is_told_in_the_language_of_the_page(language: str) -> None:
    texts = texts_of("ko" if language == "ko" else "en")
    made = list(reasons())
    assert len(made) > 30
    untold = {each for each in made if not any(hold_reason(texts, said) for said in each)}
    assert not untold


@pytest.mark.parametrize("number", [1, None])
def test_a_key_that_is_refused_is_told_in_the_language_of_the_page(number: int | None) -> None:
    said = hold_reason(texts_of("ko"), KeyRefused("API_KEY_INVALID", number).message)
    assert said is not None
    assert "API_KEY_INVALID" in said


def test_what_a_person_wrote_stays_as_it_is() -> None:
    assert hold_reason(texts_of("ko"), "looked into it, the answer never came") is None
