"""What is large is read beside the loop, one after another, while other calls go on."""

import asyncio
from threading import Event

from jangbu.gateway.aside import Aside
from tests.gateway.raw import PATIENCE_SECONDS
from tests.gateway.stage import Stage


async def test_one_thing_is_done_after_another_while_the_loop_goes_on() -> None:
    aside, goes_on, done = Aside(), Event(), list[str]()

    def slow() -> None:
        assert goes_on.wait(PATIENCE_SECONDS)
        done.append("slow")

    both = asyncio.gather(aside.run(slow), aside.run(done.append, "quick"))
    await asyncio.sleep(0)
    assert done == []
    goes_on.set()
    await both
    assert done == ["slow", "quick"]
    aside.close()


async def test_a_call_with_a_small_body_passes_those_with_large_ones(served: Stage) -> None:
    goes_on = Event()
    busy = asyncio.create_task(served.gateway._parts.aside.run(goes_on.wait, PATIENCE_SECONDS))
    large = asyncio.create_task(served.generate("word " * 20_000))
    try:
        assert (await served.generate("hi"))[0] == 200
        assert not large.done()
    finally:
        goes_on.set()
    assert await busy
    assert (await large)[0] == 200
