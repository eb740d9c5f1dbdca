"""What Jangbu tells about itself while it works: named events to whoever subscribes.

The library imposes no logger and no metrics system. Parts emit events (``recorder.flushed``, ``recorder.retried``);
the server counts them for ``/metrics``, tests collect them, and nobody pays for what nobody listens to.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

Listener = Callable[[str, Mapping[str, Any]], None]

_EVERY = ""
_listeners: dict[str, tuple[Listener, ...]] = {}
_log = logging.getLogger("jangbu")


def subscribe(listener: Listener, *events: str) -> Callable[[], None]:
    """Have ``listener(event, facts)`` called for each of these events, or for every one; gives a function that ends it.

    Those who listen to few events should name them: an event that nobody listens to costs nothing.
    """
    for event in events or (_EVERY,):
        _listeners[event] = (*_listeners.get(event, ()), listener)

    def unsubscribe() -> None:
        for event in events or (_EVERY,):
            left = list(_listeners[event])
            left.remove(listener)
            _listeners[event] = tuple(left)

    return unsubscribe


def emit(event: str, **facts: Any) -> None:
    """Tell all listeners. A listener that fails is logged and harms nobody else."""
    for listener in (*_listeners.get(event, ()), *_listeners.get(_EVERY, ())):
        try:
            listener(event, facts)
        except Exception:
            _log.exception("a telemetry listener failed on %s", event)


def warn(event: str, message: str, **facts: Any) -> None:
    """Emit an event that somebody should look at, and log its message."""
    _log.warning("%s: %s", event, message)
    emit(event, message=message, **facts)
