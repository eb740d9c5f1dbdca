"""Who pays: blocks nest and inherit, and follow the work into tasks and threads."""

import asyncio
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from jangbu.errors import InvalidMetadata, JangbuError, MissingUser
from jangbu.sdk.attribution import attribute, bind, current, required


def test_without_a_block_nobody_pays() -> None:
    assert current().user is None
    with pytest.raises(MissingUser):
        required()


def test_who_calls_in_another_thread_is_told_how_it_takes_the_block_over() -> None:
    with attribute(user="minji"), ThreadPoolExecutor() as pool:
        error = pool.submit(required).exception()
        assert pool.submit(bind(required)).result().user == "minji"
    assert isinstance(error, MissingUser)
    assert "another thread takes that over by `meter.bind`" in error.hint


def test_a_block_names_user_service_and_tags() -> None:
    with attribute(user="minji", service="script", tags={"plan": "pro"}):
        found = required()
    assert (found.user, found.service, dict(found.tags)) == ("minji", "script", {"plan": "pro"})


def test_an_inner_block_inherits_what_it_leaves_out_and_merges_tags() -> None:
    with attribute(user="minji", service="script", tags={"plan": "pro", "page": "1"}):
        with attribute(service="panel", tags={"page": "2"}):
            inner = required()
        outer = required()
    assert (inner.user, inner.service, dict(inner.tags)) == ("minji", "panel", {"plan": "pro", "page": "2"})
    assert (outer.service, dict(outer.tags)) == ("script", {"plan": "pro", "page": "1"})


def test_a_block_that_ends_by_an_error_ends_its_attribution() -> None:
    with pytest.raises(ZeroDivisionError), attribute(user="minji"):
        raise ZeroDivisionError
    assert current().user is None


def test_a_function_can_be_decorated() -> None:
    @attribute(user="minji")
    def whoever() -> str | None:
        return current().user

    assert whoever() == "minji"
    assert whoever() == "minji"
    assert current().user is None


async def test_a_coroutine_function_can_be_decorated_and_bound() -> None:
    async def whoever() -> str | None:
        await asyncio.sleep(0)
        return current().user

    decorated = attribute(user="minji")(whoever)
    with attribute(user="yuna"):
        bound = bind(whoever)
    assert [await decorated(), await bound(), await decorated(), await whoever()] == ["minji", "yuna", "minji", None]
    # Background tasks of web frameworks await what says that it is a coroutine function, and call the rest in a thread.
    assert inspect.iscoroutinefunction(decorated)
    assert inspect.iscoroutinefunction(bound)


def test_a_generator_may_be_read_step_by_step_in_copies_of_a_context() -> None:
    def story() -> Iterator[str | None]:
        with attribute(user="minji"):
            yield current().user
            yield "the end"

    steps = story()
    read = [copy_context().run(next, steps, None) for _ in range(3)]
    assert read == ["minji", "the end", None]
    assert current().user is None


def test_a_block_that_is_ended_in_a_copy_of_its_context_ends_there() -> None:
    block = attribute(user="minji")
    with attribute(user="yuna"):
        block.__enter__()
        copy = copy_context()
        copy.run(block.__exit__, None, None, None)
        assert copy.run(current).user == "yuna"


async def test_tasks_keep_the_attribution_of_where_they_were_created() -> None:
    async def whoever() -> str | None:
        await asyncio.sleep(0)
        return current().user

    async def attributed(user: str) -> str | None:
        with attribute(user=user):
            return await whoever()

    with attribute(user="minji"):
        task = asyncio.create_task(whoever())
        thread = asyncio.create_task(asyncio.to_thread(lambda: current().user))
    assert await task == "minji"
    assert await thread == "minji"
    assert await asyncio.gather(*(attributed(f"user-{n}") for n in range(20))) == [f"user-{n}" for n in range(20)]


def test_a_plain_thread_starts_with_nobody_and_a_bound_function_brings_its_payer() -> None:
    seen: list[str | None] = []
    with attribute(user="minji"):
        bound = bind(lambda: seen.append(current().user))
        threads = [threading.Thread(target=lambda: seen.append(current().user)), threading.Thread(target=bound)]
        for thread in threads:
            thread.start()
            thread.join()
    assert seen == [None, "minji"]


def test_a_pool_of_threads_is_served_by_bound_functions() -> None:
    with ThreadPoolExecutor(2) as pool:
        futures = []
        for number in range(10):
            with attribute(user=f"user-{number}"):
                futures.append(pool.submit(bind(lambda: current().user)))
        assert [future.result() for future in futures] == [f"user-{number}" for number in range(10)]


@pytest.mark.parametrize(
    "tags",
    [
        {"": "empty name"},
        {"nul": "\0"},
        {"surrogate": "\udc00"},
        {"number": 1},
        {1: "number"},
        {"large": "x" * 4097},
        {"wide": "장" * 1400},
        {f"tag-{number}": "" for number in range(33)},
    ],
)
def test_tags_that_break_a_bound_are_refused(tags: dict[str, str]) -> None:
    with pytest.raises(InvalidMetadata), attribute(user="minji", tags=tags):
        pass


def test_tags_that_are_no_names_with_values_are_refused() -> None:
    tags: Any = ["feature"]
    with pytest.raises(InvalidMetadata, match="tags are list"), attribute(tags=tags):
        pass


def test_merged_tags_are_bounded_too() -> None:
    with (
        attribute(user="minji", tags={f"outer-{number}": "" for number in range(20)}),
        pytest.raises(InvalidMetadata),
        attribute(tags={f"inner-{number}": "" for number in range(20)}),
    ):
        pass


@pytest.mark.parametrize("service", ["", "x" * 51, "nul\0"])
def test_a_service_that_breaks_a_bound_is_refused(service: str) -> None:
    with pytest.raises(InvalidMetadata), attribute(user="minji", service=service):
        pass


def test_a_service_of_fifty_characters_is_allowed() -> None:
    with attribute(user="minji", service="장" * 50):
        assert required().service == "장" * 50


def test_an_empty_user_is_a_missing_user() -> None:
    with pytest.raises(MissingUser), attribute(user=""):
        pass


async def test_a_block_that_tasks_would_share_is_refused_to_all_but_the_first() -> None:
    block = attribute(user="kim")

    async def attributed() -> str | None:
        with block:
            await asyncio.sleep(0)
        return current().user

    first, second = await asyncio.gather(attributed(), attributed(), return_exceptions=True)
    assert first is None
    assert isinstance(second, JangbuError)
    assert "call attribute() for each block" in str(second)
    assert current().user is None


def test_one_decorator_may_be_put_on_many_functions_that_call_each_other() -> None:
    kims = attribute(user="kim")

    @kims
    def inner() -> str | None:
        return current().user

    @kims
    def outer() -> str | None:
        return inner()

    assert (outer(), inner(), current().user) == ("kim", "kim", None)
