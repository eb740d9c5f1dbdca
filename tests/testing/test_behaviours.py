"""Behaviours: how they are written, and which one a request gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jangbu.errors import InvalidInput
from jangbu.testing.behaviours import ODD_USAGES, Behaviour, Behaviours, Recorded


@pytest.mark.parametrize(
    ("text", "behaviour"),
    [
        ("", Behaviour()),
        ("429; retry_after=3", Behaviour(status=429, retry_after=3)),
        ("cut", Behaviour(cut=1)),
        ("cut=3; chunk_delay=0.5", Behaviour(cut=3, chunk_delay=0.5)),
        ("html", Behaviour(garbage="html")),
        ("continuation", Behaviour(finish="CONTINUATION")),
        ("finish=RECITATION", Behaviour(finish="RECITATION")),
        ("shrinking_prompt", Behaviour(shrinking_prompt=True)),
        (
            "prompt=10; candidates=2; model_version=gemini-2.5-pro",
            Behaviour(prompt=10, candidates=2, model_version="gemini-2.5-pro"),
        ),
    ],
)
def test_the_written_form(text: str, behaviour: Behaviour) -> None:
    assert Behaviour.parse(text) == behaviour


@pytest.mark.parametrize("text", ["nonsense", "cut=soon", "delay=", "usage=purple", "recorded=x"])
def test_a_word_that_is_no_behaviour_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Behaviour.parse(text)


@given(
    st.builds(
        Behaviour,
        status=st.sampled_from([200, 400, 429, 503]),
        blocked=st.booleans(),
        cut=st.none() | st.integers(0, 9),
        chunk_delay=st.none() | st.floats(0, 10),
        usage=st.none() | st.sampled_from(ODD_USAGES),
        prompt=st.none() | st.integers(0, 10**6),
    )
)
def test_what_is_written_can_be_read_back(behaviour: Behaviour) -> None:
    assert Behaviour.parse(str(behaviour)) == behaviour


def test_the_header_comes_first_then_the_queue_then_the_latest_rule() -> None:
    behaviours = Behaviours(Behaviour(chunks=9))
    behaviours.add_rule("503", model="gemini-2.5")
    behaviours.add_rule("404", model="gemini-2.5-pro")
    behaviours.enqueue("429", times=2)
    pro = {"model": "gemini-2.5-pro", "path": "/v1/x"}

    assert behaviours.choose(header="500", **pro).status == 500
    assert [behaviours.choose(header=None, **pro).status for _ in range(3)] == [429, 429, 404]
    assert behaviours.choose(header=None, model="gemini-2.5-flash", path="/").status == 503
    assert behaviours.choose(header=None, model="gemini-3", path="/").chunks == 9


def test_a_recorded_body_is_never_spelled_out() -> None:
    assert str(Behaviour(recorded=Recorded(b"secret"))) == "recorded"
