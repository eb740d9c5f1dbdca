"""What Google has no more it says in words of its own; another refusal is of the key, and ends nothing."""

import pytest

from jangbu.providers.gemini.gone import cache_is_gone, file_is_gone

OF_A_CACHE = "CachedContent not found (or permission denied)"
OF_A_FILE = "You do not have permission to access the File abc or it may not exist."
OF_A_KEY = "The caller does not have permission."
OF_A_PROJECT = "Project 'p' not found or permission denied."


@pytest.mark.parametrize(
    ("status", "said", "cache", "file"),
    [
        (404, "", True, True),
        (403, OF_A_CACHE, True, False),
        (403, OF_A_FILE, False, True),
        (403, OF_A_KEY, False, False),
        (403, OF_A_PROJECT, False, False),
        (429, OF_A_CACHE, False, False),
        (500, OF_A_FILE, False, False),
    ],
)
def test_a_thing_is_gone_by_404_or_by_the_403_that_is_of_it(status: int, said: str, cache: bool, file: bool) -> None:
    assert (cache_is_gone(status, said), file_is_gone(status, said)) == (cache, file)
