"""Telemetry: who listens hears what it asked for, and harms nobody."""

import logging

import pytest

from jangbu import telemetry


def test_a_listener_hears_the_events_that_it_named_and_no_others() -> None:
    heard: list[tuple[str, dict[str, object]]] = []
    end = telemetry.subscribe(lambda event, facts: heard.append((event, dict(facts))), "a.happened", "b.happened")
    telemetry.emit("a.happened", number=1)
    telemetry.emit("c.happened", number=2)
    telemetry.emit("b.happened", number=3)
    end()
    telemetry.emit("a.happened", number=4)
    assert heard == [("a.happened", {"number": 1}), ("b.happened", {"number": 3})]


def test_a_listener_that_names_none_hears_all() -> None:
    heard: list[str] = []
    end = telemetry.subscribe(lambda event, _facts: heard.append(event))
    telemetry.emit("a.happened")
    telemetry.emit("c.happened")
    end()
    assert heard == ["a.happened", "c.happened"]


def test_one_of_two_equal_subscriptions_ends_alone() -> None:
    heard: list[str] = []

    def listener(event: str, _facts: object) -> None:
        heard.append(event)

    first, second = telemetry.subscribe(listener, "a.happened"), telemetry.subscribe(listener, "a.happened")
    first()
    telemetry.emit("a.happened")
    second()
    telemetry.emit("a.happened")
    assert heard == ["a.happened"]


def test_a_listener_that_fails_is_logged_and_keeps_nobody_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def broken(_event: str, _facts: object) -> None:
        raise ValueError("broken")

    ends = [telemetry.subscribe(broken, "a.happened"), telemetry.subscribe(lambda event, _f: heard.append(event))]
    with caplog.at_level(logging.ERROR):
        telemetry.emit("a.happened")
    for end in ends:
        end()
    assert heard == ["a.happened"]
    assert "a telemetry listener failed on a.happened" in caplog.text
