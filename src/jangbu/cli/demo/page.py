"""The report of a demo as text."""

import sys
from collections.abc import Sequence
from typing import Any

from jangbu.cli.demo.figures import Bar, DemoReport
from jangbu.cli.demo.performing import How
from jangbu.cli.demo.responses import Difference, Responses
from jangbu.cli.money import dollars, tokens
from jangbu.cli.tables import pairs, table
from jangbu.metering.reports import Figures

__all__ = ["page"]

_TOP = 10
_ROWS_MOST = 50
_BAR_CELLS = 40
_WHY_OTHERS = (
    "each answer of Gemini is one record, so a chat or a function call brings several, "
    "and a call that was refused or failed none, or what had arrived"
)


def page(report: DemoReport) -> str:
    """Lay the report out, section by section, and end with what it proves."""
    sections = [
        ("Calls", _calls(report)),
        (f"Users (the {min(_TOP, len(report.by_user))} who used most, of {report.users:,})", _users(report)),
        ("Services and models", _models(report)),
        (_bars_title(report), _bars(report.bars)),
        ("Refused before the call was made: the balance was too small", _refused(report)),
        ("Failed, and nothing deducted but what had arrived", _failed(report)),
    ]
    if report.responses is not None:
        sections.append(
            (
                f"Recorded answers of {report.responses.directory}",
                _responses(report.responses, report.response_differences),
            )
        )
    sections.append(("Verified", _verified(report)))
    return "\n\n".join(f"{title}\n{text}" for title, text in sections)


def _calls(report: DemoReport) -> str:
    ledger = report.ledger
    facts = [
        ("made", f"{len(report.ended):,} calls by google-genai {report.client}, seed {report.options.seed}"),
        ("ended", ", ".join(f"{report.count(how):,} {how.value}" for how in How)),
        ("recorded", f"{tokens(report.figures.calls)} answers: {_WHY_OTHERS}"),
        ("took", f"{report.milliseconds // 1000}.{report.milliseconds % 1000 // 100} s"),
        ("ledger", f"{ledger['where']}, project {ledger['project']}"),
    ]
    if report.trace is not None:
        trace = report.trace
        facts.insert(1, ("trace", f"{trace.name}: {trace.described}; {trace.seconds:,} s when they were recorded"))
    return pairs(facts)


def _users(report: DemoReport) -> str:
    return table(
        ("user", "answers>", "prompt>", "completion>", "total>", "cost>", "bought>", "left>", "refused>"),
        [
            (
                each.user,
                *_figures(each.figures),
                tokens(each.balance.granted),
                tokens(each.balance.available),
                tokens(each.refused),
            )
            for each in report.by_user[:_TOP]
        ],
    )


def _models(report: DemoReport) -> str:
    rows = [
        (each.service, each.model, *_figures(each.figures), tokens(each.figures.average_tokens))
        for each in report.by_model
    ]
    everything = ("all", "", *_figures(report.figures), tokens(report.figures.average_tokens))
    columns = ("service", "model", "answers>", "prompt>", "completion>", "total>", "cost>", "average>")
    unpriced = report.figures.unpriced
    note = f"\n({unpriced:,} answers have no known price: costs with ≥ lack theirs)" if unpriced else ""
    return table(columns, [*rows, everything]) + note


def _figures(figures: Figures) -> tuple[str, ...]:
    return (
        tokens(figures.calls),
        tokens(figures.prompt_tokens),
        tokens(figures.completion_tokens),
        tokens(figures.total_tokens),
        _cost(figures),
    )


def _cost(figures: Figures) -> str:
    """Give the cost; where some calls have no price it is a lower bound, and where none has one it is unpriced."""
    if figures.calls and figures.unpriced == figures.calls:
        return dollars(None)
    return ("≥" if figures.unpriced else "") + dollars(figures.cost_nano)


def _bars_title(report: DemoReport) -> str:
    days = [f"{day:%Y-%m-%d} {tokens(figures.total_tokens)}" for day, figures in report.days.items()]
    return f"Tokens by day, in UTC: {', '.join(days) or 'none'}; and by {_step(report.step_seconds)}"


def _step(seconds: int) -> str:
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            number = seconds // size
            return name if number == 1 else f"{number} {name}s"
    raise AssertionError("a step is whole seconds")


def _bars(bars: Sequence[Bar]) -> str:
    most = max((bar.tokens for bar in bars), default=0)
    block = "█" if (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf") else "#"
    return table(
        ("from", "answers>", "tokens>", ""),
        [
            (
                f"{bar.at:%m-%d %H:%M:%S}",
                tokens(bar.calls),
                tokens(bar.tokens),
                block * (-(-bar.tokens * _BAR_CELLS // most) if most else 0),
            )
            for bar in bars
        ],
    )


def _refused(report: DemoReport) -> str:
    return table(
        ("user", "calls>", "first needed>", "and had>"),
        [
            (user, tokens(len(calls)), tokens(calls[0].needed), tokens(calls[0].available))
            for user, calls in report.refused.items()
        ],
        empty="nobody",
    )


def _failed(report: DemoReport) -> str:
    rows = [(why, tokens(number)) for why, number in sorted(report.failed.items())]
    return table(("what happened", "calls>"), rows, empty="nothing")


def _responses(responses: Responses, differences: Sequence[Difference]) -> str:
    facts = [
        ("read", f"{len(responses.answers):,} files, {responses.recorded:,} recorded; the others may not be charged"),
        ("index", f"{responses.compared:,} compared with what it expects, {_number(len(differences), 'difference')}"),
        *(("unreadable", f"{answer.name}: {answer.problem}") for answer in responses.answers if answer.usage is None),
    ]
    rows = [(each.file, each.what, _cell(each.expected), _cell(each.found)) for each in differences]
    return _with_rows(pairs(facts), ("file", "what", "expected>", "found>"), rows)


def _verified(report: DemoReport) -> str:
    compared, verified = report.comparison, report.verified
    broken_off = f" ({compared.broken_off:,} of them cut, by what had arrived)" if compared.broken_off else ""
    answers = (
        f"{compared.compared:,} compared with the log of what was answered{broken_off}, {compared.tokens:,} tokens"
    )
    book = f"{verified.accounts:,} accounts and {verified.records:,} records: {', '.join(verified.checked)}"
    facts = [
        ("answers", f"{answers}: {_number(len(compared.differences), 'difference')}"),
        ("book", f"{book}: {_number(len(verified.mismatches), 'mismatch', 'mismatches')}"),
        ("result", "every token is accounted for" if report.is_sound else "THE BOOK DOES NOT ADD UP"),
    ]
    different = [
        (f"call {row.call} {row.response_id}", row.user, row.what, _cell(row.expected), _cell(row.found))
        for row in compared.differences
    ]
    different += [
        (each.invariant.value, each.user or "", each.what, _cell(each.expected), _cell(each.found))
        for each in verified.mismatches
    ]
    return _with_rows(pairs(facts), ("where", "user", "what", "expected>", "found>"), different)


def _with_rows(text: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return text
    more = f"\n(and {len(rows) - _ROWS_MOST:,} more)" if len(rows) > _ROWS_MOST else ""
    return f"{text}\n{table(columns, rows[:_ROWS_MOST])}{more}"


def _number(number: int, one: str, several: str = "") -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def _cell(value: Any) -> str:
    return "nothing" if value is None else tokens(value) if isinstance(value, int) else str(value)
