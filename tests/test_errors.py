"""The tree of errors: what is drawn at its top is what is raised, and all of it is there to be imported.

Each leaves the process that it was raised in whole, as those of a worker of a pool or a queue do.
"""

import inspect
import pickle
import re
from multiprocessing import get_context

import pytest

from jangbu import InsufficientBalance, JangbuError, errors

RAISED = [
    errors.InvalidInput("it cannot be used", hint="give another"),
    errors.NoAccount("kim"),
    errors.LimitReached("enough", seconds=7),
    errors.PasswordRefused("too short", weakness="short"),
    errors.AlertUndelivered("it said 410", is_gone=True),
    InsufficientBalance(user="kim", needed=1000, available=7),
]


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


@pytest.mark.parametrize("error", RAISED)
def test_an_error_is_whole_when_it_was_pickled(error: JangbuError) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        found = pickle.loads(pickle.dumps(error, protocol))
        assert (type(found), str(found), found.args, vars(found)) == (type(error), str(error), error.args, vars(error))


def test_a_call_that_cannot_be_paid_for_is_told_out_of_a_pool_of_processes() -> None:
    """An error that cannot be read there has the pool wait for ever."""
    with get_context("spawn").Pool(1) as pool, pytest.raises(InsufficientBalance) as short:
        pool.apply_async(raise_short).get(timeout=60)
    assert (short.value.user, short.value.needed, short.value.available) == ("kim", 1000, 7)


def raise_short() -> None:
    raise InsufficientBalance(user="kim", needed=1000, available=7)
