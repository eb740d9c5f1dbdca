"""From where on pages call a balance low, in words: as the app is told of it, else by a share of what was granted."""

from jangbu.alerts.app_webhook import told_low
from jangbu.dashboard.look import Look

__all__ = ["low_how"]


def low_how(look: Look) -> str:
    """Say what a low balance is."""
    low = told_low(look.settings)
    if low is None:
        return look.texts("state.low.share")
    return look.texts("state.low.told", count=low, tokens=look.formats.number(low))
