"""Generator functions that are decorated: each step is inside the block, and what their reader does is not."""

import asyncio
import gc
import inspect
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from contextvars import copy_context
from typing import Any, cast

import pytest

from jangbu.errors import InvalidMetadata
from jangbu.sdk.attribution import attribute, bind, current


class Unexpected(Exception):
    """Of a class that can be watched while it is alive."""


def payer() -> str | None:
    return current().user


@attribute(user="minji")
def story() -> Iterator[str | None]:
    yield payer()
    yield payer()


@attribute(user="minji")
async def told() -> AsyncIterator[str | None]:
    for _ in range(2):
        await asyncio.sleep(0)
        yield payer()


def test_each_step_is_inside_and_its_reader_outside() -> None:
    assert [(piece, payer()) for piece in story()] == [("minji", None), ("minji", None)]
    assert payer() is None


async def test_each_step_of_an_asynchronous_generator_is_inside_and_its_reader_outside() -> None:
    assert [(piece, payer()) async for piece in told()] == [("minji", None), ("minji", None)]
    assert payer() is None


def test_what_is_decorated_stays_a_generator_function_of_its_kind() -> None:
    assert inspect.isgeneratorfunction(story)
    assert inspect.isasyncgenfunction(told)
    assert (story.__name__, told.__name__) == ("story", "told")


def test_a_reader_with_a_payer_of_its_own_keeps_it() -> None:
    with attribute(user="yuna"):
        assert [(piece, payer()) for piece in story()] == [("minji", "yuna"), ("minji", "yuna")]


def test_what_the_block_leaves_out_is_inherited_where_the_first_step_is_made() -> None:
    @attribute(service="script")
    def scenes() -> Iterator[tuple[str | None, str | None]]:
        yield payer(), current().service
        yield payer(), current().service

    with attribute(user="yuna"):
        steps = scenes()
        read = [next(steps)]
    with attribute(user="somebody else"):
        read.append(next(steps))
    assert read == [("yuna", "script"), ("yuna", "script")]


async def test_steps_that_threads_make_in_copies_of_a_context_are_inside() -> None:
    ended: list[str | None] = []

    @attribute(user="minji")
    def chapters() -> Iterator[str | None]:
        with attribute(service="script"):
            try:
                yield payer()
                yield current().service
            finally:
                ended.append(payer())
        yield current().service

    steps = chapters()
    # This is how web frameworks read the body of a response.
    read = [await asyncio.to_thread(next, steps, "the end") for _ in range(4)]
    assert (read, ended, payer()) == (["minji", "script", None, "the end"], ["minji"], None)


def test_threads_that_take_turns_are_left_as_they_were() -> None:
    steps = story()
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        assert [first.submit(next, steps).result(), second.submit(next, steps).result()] == ["minji", "minji"]
        assert [pool.submit(payer).result() for pool in (first, second)] == [None, None]


async def test_tasks_that_take_turns_are_left_as_they_were() -> None:
    steps = told()

    async def turn() -> tuple[str | None, str | None]:
        return await anext(steps), payer()

    assert [await asyncio.create_task(turn()), await asyncio.create_task(turn())] == [("minji", None)] * 2


def test_an_inner_block_holds_from_step_to_step_and_does_not_reach_the_reader() -> None:
    @attribute(user="minji")
    def chapters() -> Iterator[tuple[str | None, str | None]]:
        with attribute(service="script", user="yuna"):
            yield payer(), current().service
            yield payer(), current().service
        yield payer(), current().service

    read = [(piece, payer()) for piece in chapters()]
    assert read == [(("yuna", "script"), None), (("yuna", "script"), None), (("minji", None), None)]


def test_generators_that_are_read_by_turns_keep_each_their_payer() -> None:
    @attribute(tags={"kept": "yes"})
    def whose(user: str) -> Iterator[str | None]:
        with attribute(user=user):
            for _ in range(3):
                yield payer()

    assert list(zip(whose("minji"), whose("yuna"), strict=True)) == [("minji", "yuna")] * 3
    assert payer() is None


async def test_asynchronous_generators_that_are_read_at_once_keep_each_their_payer() -> None:
    async def read(user: str) -> list[str | None]:
        @attribute(user=user)
        async def pieces() -> AsyncIterator[str | None]:
            for _ in range(3):
                await asyncio.sleep(0)
                yield payer()

        return [piece async for piece in pieces()]

    users = [f"user-{number}" for number in range(20)]
    assert await asyncio.gather(*(read(user) for user in users)) == [[user] * 3 for user in users]


def test_one_decorator_serves_generators_within_generators() -> None:
    kims = attribute(user="kim")

    @kims
    def inner() -> Iterator[str | None]:
        yield payer()

    @kims
    def outer() -> Iterator[str | None]:
        yield from inner()
        yield payer()

    assert (list(outer()), list(inner()), payer()) == (["kim", "kim"], ["kim"], None)


def test_who_closes_early_closes_the_generator_inside_its_block() -> None:
    ended: list[str | None] = []

    @attribute(user="minji")
    def chapters() -> Generator[int, None, None]:
        try:
            yield 1
        finally:
            ended.append(payer())

    steps = chapters()
    next(steps)
    copy_context().run(steps.close)
    steps.close()
    assert (ended, list(steps), payer()) == (["minji"], [], None)


async def test_who_closes_early_closes_an_asynchronous_generator_inside_its_block() -> None:
    ended: list[str | None] = []

    @attribute(user="minji")
    async def chapters() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            ended.append(payer())

    async with aclosing(chapters()) as steps:  # type: ignore[type-var]
        await anext(steps)
    assert (ended, payer()) == (["minji"], None)


def test_an_event_loop_that_ends_closes_what_is_left_inside_its_block() -> None:
    ended: list[str | None] = []
    failed: list[object] = []

    @attribute(user="minji")
    async def chapters() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            ended.append(payer())

    async def read() -> AsyncIterator[int]:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failed.append(context))
        steps = chapters()
        await anext(steps)
        return steps

    left = asyncio.run(read())
    assert (ended, failed) == (["minji"], [])
    assert left is not None


async def test_a_reader_that_is_cancelled_ends_the_step_and_its_block() -> None:
    ended: list[str | None] = []

    @attribute(user="minji")
    async def chapters() -> AsyncIterator[int]:
        try:
            await asyncio.sleep(60)
            yield 1
        finally:
            ended.append(payer())

    reading = asyncio.ensure_future(anext(chapters()))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (ended, payer()) == (["minji"], None)


def test_what_is_sent_thrown_and_returned_passes_as_by_yield_from() -> None:
    @attribute(user="minji")
    def talk() -> Generator[tuple[object, str | None], str, str | None]:
        heard: object = "nothing yet"
        while heard != "enough":
            try:
                heard = yield heard, payer()
            except LookupError as error:
                heard = error
        return payer()

    steps, error = talk(), LookupError()
    assert next(steps) == ("nothing yet", "minji")
    assert steps.send("hello") == ("hello", "minji")
    assert steps.throw(error) == (error, "minji")
    with pytest.raises(StopIteration) as end:
        steps.send("enough")
    assert end.value.value == "minji"


async def test_what_is_sent_to_and_thrown_into_an_asynchronous_generator_passes() -> None:
    @attribute(user="minji")
    async def talk() -> AsyncGenerator[tuple[object, str | None], str]:
        heard: object = "nothing yet"
        while heard != "enough":
            try:
                heard = yield heard, payer()
            except LookupError as error:
                heard = error

    steps, error = talk(), LookupError()
    assert await anext(steps) == ("nothing yet", "minji")
    assert await steps.asend("hello") == ("hello", "minji")
    assert await steps.athrow(error) == (error, "minji")
    with pytest.raises(StopAsyncIteration):
        await steps.asend("enough")


def test_an_error_of_the_generator_and_one_that_it_lets_through_reach_the_reader() -> None:
    @attribute(user="minji")
    def chapters() -> Generator[int, None, None]:
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(chapters())
    steps = chapters()
    next(steps)
    with pytest.raises(LookupError):
        steps.throw(LookupError())
    assert payer() is None


def test_an_error_that_passes_through_is_not_kept_alive_by_it() -> None:
    @attribute(user="minji")
    def pieces() -> Iterator[int]:
        yield 1

    def thrown(steps: Generator[int, Any, Any]) -> "weakref.ref[Unexpected]":
        error = Unexpected()
        with suppress(Unexpected):
            steps.throw(error)
        watched = weakref.ref(error)
        # What was raised here names this frame, too.
        del error
        return watched

    steps = cast("Generator[int, Any, Any]", pieces())
    next(steps)
    gc.disable()
    try:
        assert thrown(steps)() is None
    finally:
        gc.enable()


async def test_bound_generator_functions_bring_their_payer() -> None:
    def pieces() -> Iterator[str | None]:
        yield payer()
        yield payer()

    async def awaited_pieces() -> AsyncIterator[str | None]:
        yield payer()
        yield payer()

    with attribute(user="minji"):
        bound, awaited_bound = bind(pieces), bind(awaited_pieces)
    with attribute(user="yuna"):
        assert [(piece, payer()) for piece in bound()] == [("minji", "yuna")] * 2
        assert [(piece, payer()) async for piece in awaited_bound()] == [("minji", "yuna")] * 2


def test_tags_that_break_a_bound_are_refused_at_the_first_step() -> None:
    @attribute(user="minji", tags={"": "empty name"})
    def pieces() -> Iterator[int]:
        yield 1

    with pytest.raises(InvalidMetadata):
        next(pieces())
    assert payer() is None
