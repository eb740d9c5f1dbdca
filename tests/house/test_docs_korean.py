"""The README in Korean says what the README says: its code, its names and its links are the same, part by part."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"```.*?```", re.DOTALL)
INDENTED = re.compile(r"^ {4}\S.*$", re.MULTILINE)


def parts(name: str) -> list[str]:
    """Give a page's parts: what stands before its first heading of the second level, and each of these."""
    return re.split(r"^## ", (ROOT / name).read_text(), flags=re.MULTILINE)


def code(part: str) -> list[str]:
    return FENCED.findall(part) + INDENTED.findall(FENCED.sub("", part))


def names(part: str) -> Counter[str]:
    """Give what stands between backticks outside of blocks, wherever its lines break."""
    return Counter(" ".join(name.split()) for name in re.findall(r"`([^`]+)`", FENCED.sub("", part)))


def links(part: str) -> set[str]:
    return set(re.findall(r"\]\(([^)]+)\)", part)) - {"README.md", "README.ko.md"}


PAIRS = list(zip(parts("README.md"), parts("README.ko.md"), strict=True))


@pytest.mark.parametrize(("english", "korean"), PAIRS, ids=[english.partition("\n")[0] for english, _ in PAIRS])
def test_each_part_shows_the_same_code_and_names_the_same_things(english: str, korean: str) -> None:
    assert code(korean) == code(english)
    assert names(korean) == names(english)
    assert links(korean) == links(english)
    assert len(re.findall(r"^- \*\*", korean, re.MULTILINE)) == len(re.findall(r"^- \*\*", english, re.MULTILINE))


def test_the_two_lead_to_each_other() -> None:
    assert "(README.ko.md)" in (ROOT / "README.md").read_text()
    assert "(README.md)" in (ROOT / "README.ko.md").read_text()
