"""What a call needed is gone when it has ended: nothing is left of it that only a search for garbage would free.

Such a search costs each call, and what waits for it takes memory.
"""

import gc
from collections import Counter

import pytest

from tests.gateway.stage import FLASH, Stage, asked

CALLS = 5


@pytest.mark.parametrize("verb", ["generateContent", "streamGenerateContent", "countTokens"])
async def test_a_call_leaves_no_circle_of_objects(served: Stage, verb: str) -> None:
    path = f"/v1beta/models/{FLASH}:{verb}"
    assert (await served.post(path, asked()))[0] == 200
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(CALLS):
            await served.post(path, asked())
        gc.collect()
        left = Counter(type(each).__qualname__ for each in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left
