"""The tree of errors: what is drawn at its top is what is raised, and all of it is there to be imported."""

import inspect
import re

from jangbu import errors


def drawn() -> dict[str, str]:
    """Give the parent of each error in the drawing."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for branch, name in re.findall(r"^    ([│├└─ ]*)([A-Z]\w+)(?: .*)?$", errors.__doc__ or "", re.MULTILINE):
        depth = len(branch) // 4
        above[depth:] = [name]
        if depth:
            parents[name] = above[depth - 1]
    return parents


def test_the_tree_that_is_drawn_is_the_tree_that_is_raised() -> None:
    kinds = inspect.getmembers(errors, lambda each: inspect.isclass(each) and each is not errors.JangbuError)
    assert drawn() == {name: kind.__base__.__name__ for name, kind in kinds}


def test_all_of_the_tree_can_be_imported_by_name() -> None:
    assert {*drawn(), "JangbuError"} == set(errors.__all__)
