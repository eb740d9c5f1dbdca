"""What Jangbu tells about itself while it works: named events to whoever subscribes.

The library imposes no logger and no metrics system. Parts emit events (``recorder.flushed``, ``recorder.retried``);
the server counts them for ``/metrics``, tests collect them, and nobody pays for what nobody listens to.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

Listener = Callable[[str, Mapping[str, Any]], None]

_listeners: list[Listener] = []
_log = logging.getLogger("jangbu")


def subscribe(listener: Listener) -> Callable[[], None]:
    """Have ``listener(event, facts)`` called for each event; gives a function that ends it."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def emit(event: str, **facts: Any) -> None:
    """Tell all listeners. A listener that fails is logged and harms nobody else."""
    for listener in tuple(_listeners):
        try:
            listener(event, facts)
        except Exception:
            _log.exception("a telemetry listener failed on %s", event)


def warn(event: str, message: str, **facts: Any) -> None:
    """Emit an event that somebody should look at, and log its message."""
    _log.warning("%s: %s", event, message)
    emit(event, message=message, **facts)
