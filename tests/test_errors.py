"""Errors leave the process that they were raised in, as those of a worker of a pool or a queue do."""

import pickle
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
