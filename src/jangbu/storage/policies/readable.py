"""Which columns a role that only reads may read: those that a user's own key is shown over the API."""

from collections.abc import Mapping

__all__ = ["COSTS", "readable"]

_COUNTS = ("calls", "prompt", "candidates", "thoughts", "tool", "cached", "total")
_SUMS = ("account_id", "at", "service_id", "model_id", *_COUNTS)
COSTS = ("cost_nano", "input_cost_nano", "charge_nano", "unpriced", "price_version")
"""What calls cost by the price list, from which the app's margin follows: the app's matter until it says otherwise."""
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "accounts": ("account_id", "project", "user_id", "state", "created_at"),
    "balances": ("account_id", "asset", "granted", "used", "held", "version", "updated_at"),
    "entries": (
        *("account_id", "asset", "seq", "kind", "delta", "balance_after", "posting", "reference", "reason"),
        *("created_at", "key"),
    ),
    "grants": (
        *("account_id", "id", "asset", "amount", "consumed", "expired", "source", "priority", "expires_at"),
        "created_at",
    ),
    "holds": ("account_id", "id", "amount", "state", "service", "model", "taken_at", "expires_at", "closed_at"),
    "models": ("model_id", "name"),
    "services": ("service_id", "name"),
    "usage": (
        *("account_id", "id", "service_id", "model_id", "surface", "platform", "tier", "source", *_COUNTS[1:]),
        *("hold_amount", "late", "posting", "money_posting", "response_id", "anomalies", "recorded_at"),
    ),
    "usage_days": ("account_id", "project", "day", *_COUNTS),
    "usage_hours": _SUMS,
    "usage_lifetime": ("account_id", "service_id", "model_id", *_COUNTS),
    "usage_quarters": _SUMS,
    "usage_recent": _SUMS,
    "usage_sealed": _SUMS,
    "usage_six_hours": _SUMS,
}
_WITH_COSTS = {
    "usage": ("cost_nano", "input_cost_nano", "charge_nano", "price_version"),
    **dict.fromkeys([name for name in _COLUMNS if name.startswith("usage_")], COSTS[:4]),
}
_VIEWS = ("token_usage", "usage_daily", "usage_total", "user_tokens")


def readable(*, with_costs: bool) -> dict[str, list[str] | None]:
    """Give the columns that may be read by relation, None for a view, which shows itself what whoever asks may see."""
    tables = {
        name: [*columns, *(_WITH_COSTS.get(name, ()) if with_costs else ())] for name, columns in _COLUMNS.items()
    }
    return {**tables, **dict.fromkeys(_VIEWS)}
