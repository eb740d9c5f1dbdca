"""One call as ``explain`` shows it to people: evidence, sum, price, debit."""

import json
from typing import TYPE_CHECKING

from jangbu.cli.money import counted, dollars
from jangbu.cli.output import shown_moment
from jangbu.cli.tables import pairs, table

if TYPE_CHECKING:
    from jangbu.metering.explain import Explanation

__all__ = ["explanation_text"]


def explanation_text(found: "Explanation") -> str:
    """Tell the story of a call to people: who, what Google said, how it adds up, what it cost, what was debited."""
    parts = [pairs(_who(found)), "what Google said", json.dumps(found.evidence, indent=2)]
    if found.price is not None and found.price.lines:
        parts += ["what it cost", _price_table(found)]
    parts += ["what was debited", pairs(_debit(found))]
    return "\n\n".join(parts)


def _who(found: "Explanation") -> list[tuple[str, str]]:
    record = found.record
    return [
        ("call", str(record.id)),
        ("user", record.user),
        ("service", record.service),
        ("model", record.model),
        ("surface", record.surface),
        ("tier", record.tier or "not named"),
        ("source", record.source),
        ("answer id", record.response_id or "none"),
        ("called", shown_moment(record.created_at)),
        ("recorded", shown_moment(record.recorded_at)),
        ("sum", found.sum_text),
        ("anomalies", ", ".join(record.anomalies) or "none"),
        ("metadata", record.metadata or "none"),
    ]


def _price_table(found: "Explanation") -> str:
    from jangbu.prices.files import to_usd

    assert found.price is not None, "there are lines"
    rows = [
        (
            line.meter.value,
            line.modality.value,
            f"{line.quantity:,}",
            f"${to_usd(line.unit_price_nano)} for {line.unit_size:,}",
            dollars(line.amount_nano),
        )
        for line in found.price.lines
    ]
    return table(("meter", "modality", "quantity>", "price>", "amount>"), rows)


def _debit(found: "Explanation") -> list[tuple[str, str]]:
    record = found.record
    version = "" if record.price_version is None else f" (price version {record.price_version})"
    facts = [
        ("cost", dollars(record.cost_nano) + version),
        ("charged", f"{counted(record.total, 'token')}, {dollars(record.charge_nano)}"),
        ("held before", "nothing" if found.hold_amount is None else counted(found.hold_amount, "token")),
    ]
    if found.overrun:
        facts.append(("overrun", counted(found.overrun, "token")))
    if found.entry is not None:
        facts.append(
            ("entry", f"seq {found.entry.seq}, {found.entry.kind}, {counted(found.entry.delta, 'token', '+')}")
        )
        facts.append(("balance after", counted(found.entry.balance_after, "token")))
    for entry in found.returns:
        facts.append((entry.kind.value, f"{counted(entry.delta, 'token', '+')}: {entry.reason or ''}"))
    for entry in found.money_returns:
        facts.append((entry.kind.value, f"+{dollars(entry.delta)}: {entry.reason or ''}"))
    return [*facts, ("net", counted(found.net_tokens, "token"))]
