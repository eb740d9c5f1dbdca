"""Jangbu (장부): the account book for the Gemini tokens that an app's users spend.

The public names are loaded when they are first asked for, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jangbu.config import Settings
    from jangbu.domain.flow import Receipt
    from jangbu.domain.forecast import Expiring
    from jangbu.domain.ledger import Balance
    from jangbu.errors import (
        DatabaseUnreachable,
        IdempotencyConflict,
        InsufficientBalance,
        InvalidAnswer,
        InvalidInput,
        InvalidMetadata,
        JangbuError,
        LedgerUnreachable,
        MissingUser,
        NotFound,
        RecordingFailed,
    )
    from jangbu.metering.postings import Posted
    from jangbu.sdk.attribution import Attribution
    from jangbu.sdk.connected import ConnectedMeter
    from jangbu.sdk.meter import Meter

__version__ = "0.1.0"

__all__ = [
    "Attribution",
    "Balance",
    "ConnectedMeter",
    "DatabaseUnreachable",
    "Expiring",
    "IdempotencyConflict",
    "InsufficientBalance",
    "InvalidAnswer",
    "InvalidInput",
    "InvalidMetadata",
    "JangbuError",
    "LedgerUnreachable",
    "Meter",
    "MissingUser",
    "NotFound",
    "Posted",
    "Receipt",
    "RecordingFailed",
    "Settings",
]

_HOMES = {
    "Attribution": "jangbu.sdk.attribution",
    "Balance": "jangbu.domain.ledger",
    "ConnectedMeter": "jangbu.sdk.connected",
    "Expiring": "jangbu.domain.forecast",
    "Meter": "jangbu.sdk.meter",
    "Posted": "jangbu.metering.postings",
    "Receipt": "jangbu.domain.flow",
    "Settings": "jangbu.config",
}
"""Where a public name lives; those not listed are errors."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "jangbu.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted((*__all__, "__version__"))
