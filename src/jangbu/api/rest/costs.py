"""What calls cost by the price list is the app's matter: a user's own key sees it only where the settings say so."""

from typing import Any

from jangbu.api.rest.asked import Asked
from jangbu.metering.exports import Table

__all__ = ["shown", "shown_call", "shown_table"]

_COSTS = ("cost_nano", "input_cost_nano", "output_cost_nano", "charge_nano")
_OF_A_CALL: dict[str, Any] = {"price_version": None, "price_lines": [], "unpriced": [], "metadata": None}
_OF_A_TABLE = (*_COSTS, "price_version", "metadata")


def shown(ask: Asked, facts: dict[str, Any]) -> dict[str, Any]:
    """Give facts as whoever asks may see them: with null for what calls cost."""
    return facts if ask.sees_costs else facts | dict.fromkeys(facts.keys() & set(_COSTS))


def shown_call(ask: Asked, facts: dict[str, Any]) -> dict[str, Any]:
    """Give all that is known of a call as whoever asks may see it: what the app noted with it is the app's, too."""
    return facts if ask.sees_costs else shown(ask, facts) | _OF_A_CALL


def shown_table(ask: Asked, table: Table) -> Table:
    """Give a table with the columns that whoever asks may see."""
    return table if ask.sees_costs else table.without(*_OF_A_TABLE)
