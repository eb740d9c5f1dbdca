"""Exit codes: the contract with scripts."""

import pytest

from jangbu import errors
from jangbu.cli.exits import ExitCode, exit_code

GIVEN = {
    errors.JangbuError: 1,
    errors.IdempotencyConflict: 1,
    errors.RecordingFailed: 1,
    errors.RecordRefused: 1,
    errors.StillRunning: 1,
    errors.NotOffered: 1,
    errors.NotConfigured: 1,
    errors.TooMuchKept: 1,
    errors.SpoolFull: 1,
    errors.SpoolUnusable: 1,
    errors.SpoolInUse: 1,
    errors.BackupFailed: 1,
    errors.AlertUndelivered: 1,
    errors.LimitReached: 1,
    errors.UpstreamUnreachable: 1,
    errors.UncountedInput: 1,
    errors.InvalidInput: 2,
    errors.InvalidAnswer: 2,
    errors.InvalidMetadata: 2,
    errors.InvalidSettings: 2,
    errors.MissingUser: 2,
    errors.TooLarge: 2,
    errors.PasswordRefused: 2,
    errors.Overdrawn: 2,
    errors.BackupUnusable: 2,
    errors.NotFound: 3,
    errors.NoAccount: 3,
    errors.NotPermitted: 4,
    errors.LastOwner: 4,
    errors.Unauthenticated: 4,
    errors.TokenExpired: 4,
    errors.InsufficientBalance: 5,
    errors.IntegrityMismatch: 6,
    errors.DatabaseUnreachable: 7,
    errors.HoldInDoubt: 7,
    errors.BalanceLocked: 7,
    errors.LedgerUnreachable: 7,
    errors.DataDirectoryInUse: 7,
    errors.DataDirectoryUnusable: 7,
}


def test_every_error_of_the_tree_has_its_code() -> None:
    assert set(GIVEN) == {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.JangbuError)
    }


@pytest.mark.parametrize("kind", GIVEN, ids=lambda kind: kind.__name__)
def test_an_error_ends_the_command_with_its_code(kind: type[errors.JangbuError]) -> None:
    if kind is errors.InsufficientBalance:
        error: errors.JangbuError = errors.InsufficientBalance(user="kim", needed=2, available=1)
    elif kind is errors.LimitReached:
        error = errors.LimitReached("enough for now", seconds=1)
    elif kind is errors.PasswordRefused:
        error = errors.PasswordRefused("it is common", weakness="common")
    else:
        error = kind("it went wrong")
    assert exit_code(error) == GIVEN[kind]


def test_the_codes_are_the_documented_ones() -> None:
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 7, 130]
