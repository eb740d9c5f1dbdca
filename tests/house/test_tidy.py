"""The house rules that no linter knows: sizes, words, and what never belongs in the repository."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 40
MODULES_OVER_300_MAX = 4
VAGUE = re.compile(r"(?:^|_)(utils?|helpers?|managers?|misc|common)(?:_|$)|(?:Util|Helper|Manager)s?\b")
PURE = ROOT / "src/jangbu/domain"
FLOATLESS = [path for path in SOURCES if path.is_relative_to(PURE) or path.is_relative_to(ROOT / "src/jangbu/storage")]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_longer_than_one_sitting() -> None:
    sizes = {relative(path): len(path.read_text().splitlines()) for path in tracked() if path.suffix == ".py"}
    assert {name: size for name, size in sizes.items() if size > MODULE_LINES_MAX} == {}
    long = {name: size for name, size in sizes.items() if size > 300 and name.startswith("src/")}
    assert len(long) <= MODULES_OVER_300_MAX, f"review these before another grows: {long}"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    long = {
        node.name: length
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := _code_lines(node)) > FUNCTION_LINES_MAX
    }
    assert long == {}


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines without its docstring, which may say as much as it needs."""
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def test_names_say_what_they_name() -> None:
    files = [relative(path) for path in SOURCES if VAGUE.search(path.stem)]
    classes = [
        f"{relative(path)}: {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and VAGUE.search(node.name)
    ]
    assert files + classes == []


@pytest.mark.parametrize("path", FLOATLESS, ids=relative)
def test_tokens_and_money_meet_no_float(path: Path) -> None:
    allowed_seconds = re.compile(r"second|timeout|wait|delay|deadline|monotonic|sleep", re.IGNORECASE)
    lines = path.read_text().splitlines()
    floats = [
        f"{node.lineno}: {lines[node.lineno - 1].strip()}"
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float")
        if not allowed_seconds.search(lines[node.lineno - 1])
    ]
    assert floats == []


@pytest.mark.parametrize("path", sorted(PURE.rglob("*.py")), ids=relative)
def test_the_domain_is_pure(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), f"line {node.lineno} is asynchronous"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input"}, f"line {node.lineno} does I/O"


def test_the_layers_hold() -> None:
    found = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


def test_nothing_of_a_machine_is_in_the_repository() -> None:
    here = [str(ROOT.parent) + "/", "/" + "root/", "pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org"]
    found = [f"{relative(path)}: {word}" for path in tracked() for word in here if word.encode() in path.read_bytes()]
    assert found == []


def test_every_dependency_is_pinned_with_a_hash_and_no_address() -> None:
    for lock in sorted(ROOT.glob("requirements*.lock")):
        text = lock.read_text()
        assert "://" not in text, f"{lock.name} holds an address"
        pins = re.findall(r"^[a-z0-9][^\n]*?==[^\n]*(?:\n\s+--hash=sha256:[0-9a-f]{64}[^\n]*)+", text, re.MULTILINE)
        assert len(pins) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)), f"{lock.name} has a pin without a hash"


def test_every_declared_dependency_is_locked() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = [each for extra in declared["project"]["optional-dependencies"].values() for each in extra]
    wanted = declared["project"]["dependencies"] + extras + declared["dependency-groups"]["dev"]
    names = {re.split(r"[<>=\[; ]", line)[0].lower() for line in wanted}
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert names - locked == set()
