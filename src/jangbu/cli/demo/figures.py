"""What a demo reports: read from the ledger's reports, with what the app saw of its calls."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from jangbu.cli.demo.comparison import Comparison
from jangbu.cli.demo.options import Options
from jangbu.cli.demo.performing import Ended, How
from jangbu.cli.demo.responses import Difference, Responses
from jangbu.cli.demo.trace import Trace
from jangbu.domain.ledger import Balance
from jangbu.metering.reports import Figures
from jangbu.metering.verify import Report
from jangbu.storage.reports import Sums
from jangbu.storage.usage import UsageRecord

__all__ = ["Bar", "DemoReport", "ModelFigures", "UserFigures", "bars_of", "figures_of"]

BARS_MOST = 24
_STEPS_SECONDS = (1, 2, 5, 10, 30, 60, 600, 3600, 86_400)


@dataclass(frozen=True, slots=True)
class UserFigures:
    """What one user bought, used and cost, and how often they were refused."""

    user: str
    figures: Figures
    balance: Balance
    refused: int


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """What calls of one model for one service used and cost."""

    service: str
    model: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Bar:
    """What was used in the step of time that begins at a moment."""

    at: datetime
    calls: int
    tokens: int


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Everything that a demo found out. ``bars`` are ``step_seconds`` apart; ``days`` are those of UTC."""

    options: Options
    ledger: Mapping[str, Any]
    client: str
    milliseconds: int
    users: int
    ended: tuple[Ended, ...]
    figures: Figures
    by_user: tuple[UserFigures, ...]
    by_model: tuple[ModelFigures, ...]
    days: Mapping[date, Figures]
    step_seconds: int
    bars: tuple[Bar, ...]
    comparison: Comparison
    verified: Report
    trace: Trace | None = None
    responses: Responses | None = None
    response_differences: tuple[Difference, ...] = ()

    @property
    def refused(self) -> Mapping[str, Sequence[Ended]]:
        """The calls that were refused, by user."""
        refused: dict[str, list[Ended]] = {}
        for each in self.ended:
            if each.how is How.REFUSED:
                refused.setdefault(each.call.user, []).append(each)
        return refused

    @property
    def failed(self) -> Mapping[str, int]:
        """How many calls failed, by what happened to them."""
        return Counter(each.why for each in self.ended if each.how is How.FAILED)

    @property
    def difference_count(self) -> int:
        """How many figures are not what they should be."""
        return len(self.comparison.differences) + len(self.verified.mismatches) + len(self.response_differences)

    @property
    def is_sound(self) -> bool:
        """Whether the book adds up and equals what was answered."""
        return self.difference_count == 0

    def count(self, how: How) -> int:
        """Tell how many calls ended so."""
        return sum(each.how is how for each in self.ended)

    def facts(self) -> dict[str, Any]:
        """Give the report as one JSON object."""
        return {
            "ok": self.is_sound,
            "seed": self.options.seed,
            "client": self.client,
            "ledger": dict(self.ledger),
            "milliseconds": self.milliseconds,
            "users": self.users,
            "trace": self._trace_facts(),
            "calls": self._call_facts(),
            "totals": _priced(self.figures),
            "by_user": [_user_facts(each) for each in self.by_user],
            "by_model": [
                {"service": each.service, "model": each.model, **_priced(each.figures)} for each in self.by_model
            ],
            "days": [{"day": day, **_priced(figures)} for day, figures in self.days.items()],
            "bars": {"seconds": self.step_seconds, "steps": [asdict(bar) for bar in self.bars]},
            "comparison": asdict(self.comparison),
            "verify": self._verify_facts(),
            "responses": self._response_facts(),
        }

    def _trace_facts(self) -> dict[str, Any] | None:
        if self.trace is None:
            return None
        return {"name": self.trace.name, "what": self.trace.described, "seconds": self.trace.seconds}

    def _call_facts(self) -> dict[str, Any]:
        return {
            "planned": len(self.ended),
            "answered": self.count(How.ANSWERED),
            "failed": dict(sorted(self.failed.items())),
            "refused": [
                {"user": user, "calls": len(calls), "needed": calls[0].needed, "available": calls[0].available}
                for user, calls in self.refused.items()
            ],
        }

    def _verify_facts(self) -> dict[str, Any]:
        mismatches = [asdict(each) for each in self.verified.mismatches]
        return {
            "ok": self.verified.is_clean,
            "accounts": self.verified.accounts,
            "records": self.verified.records,
            "checked": self.verified.checked,
            "mismatches": mismatches,
        }

    def _response_facts(self) -> dict[str, Any] | None:
        if self.responses is None:
            return None
        unreadable = [answer for answer in self.responses.answers if answer.usage is None]
        return {
            "directory": self.responses.directory,
            "files": len(self.responses.answers),
            "recorded": self.responses.recorded,
            "compared": self.responses.compared,
            "differences": [asdict(each) for each in self.response_differences],
            "unreadable": [{"file": answer.name, "why": answer.problem} for answer in unreadable],
        }


def figures_of(several: Iterable[Figures]) -> Figures:
    """Add figures up."""
    return Figures.of(
        Sums(
            each.calls,
            each.prompt_tokens,
            each.completion_tokens,
            each.cached_tokens,
            each.total_tokens,
            each.cost_nano,
            each.input_cost_nano,
            each.charge_nano,
            each.unpriced,
        )
        for each in several
    )


def bars_of(records: Sequence[UsageRecord]) -> tuple[int, tuple[Bar, ...]]:
    """Give the records by steps of time, the finest that gives few enough bars, with the empty ones among them."""
    if not records:
        return _STEPS_SECONDS[0], ()
    seconds = [int(record.created_at.timestamp()) for record in records]
    span = max(seconds) - min(seconds)
    step = next((step for step in _STEPS_SECONDS if span // step < BARS_MOST - 1), _STEPS_SECONDS[-1])
    calls, tokens = Counter[int](), Counter[int]()
    for second, record in zip(seconds, records, strict=True):
        calls[second // step] += 1
        tokens[second // step] += record.total
    return step, tuple(
        Bar(datetime.fromtimestamp(0, UTC) + timedelta(seconds=index * step), calls[index], tokens[index])
        for index in range(min(calls), max(calls) + 1)
    )


def _user_facts(each: UserFigures) -> dict[str, Any]:
    balance = each.balance
    return {
        "user": each.user,
        **_priced(each.figures),
        "balance": balance.granted,
        "used_tokens": balance.used,
        "held_tokens": balance.held,
        "available": balance.available,
        "refused": each.refused,
    }


def _priced(figures: Figures) -> dict[str, Any]:
    """Give figures with an unknown cost as null: what nothing is known of does not cost 0."""
    facts: dict[str, Any] = asdict(figures)
    if figures.calls and figures.unpriced == figures.calls:
        facts |= dict.fromkeys(("cost_nano", "input_cost_nano", "output_cost_nano", "charge_nano"))
    return facts
