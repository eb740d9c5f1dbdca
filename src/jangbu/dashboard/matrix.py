"""What a user used of each model for each service, as a matrix whose cells lead to the calls that they sum."""

from collections.abc import Iterable
from dataclasses import dataclass

from jangbu.dashboard.choices import window_asked
from jangbu.dashboard.look import Look
from jangbu.dashboard.sought import EVERY_CALL
from jangbu.domain.amounts import Amounts
from jangbu.domain.windows import Preset
from jangbu.metering.tops import Breakdown, Spread, Spreads

__all__ = ["Cell", "Line", "Matrix", "calls_link", "matrix_of"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What some calls used: ``p95`` is the tokens that 95% of them used at most, None where that is not known."""

    amounts: Amounts
    average_tokens: int
    p95: int | None
    link: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A service: a cell for each model, None where it was not used, and all of them."""

    service: str
    cells: tuple[Cell | None, ...]
    total: Cell


@dataclass(frozen=True, slots=True)
class Matrix:
    """All services and models that were used in a window, the most used first. ``is_sample`` tells that ``p95`` is of
    the latest calls alone.
    """

    models: tuple[str, ...]
    lines: tuple[Line, ...]
    totals: tuple[Cell, ...]
    total: Cell
    is_sample: bool


def matrix_of(look: Look, found: Breakdown, spreads: Spreads) -> Matrix:
    """Put what was used by service and model into lines and columns."""
    models = tuple(part.name for part in found.models)
    cells = {
        (each.service, each.model): _cell(
            look, each.amounts, spreads.cells.get((each.service, each.model)), each.service, each.model
        )
        for each in found.cells
    }
    return Matrix(
        models,
        tuple(
            Line(
                part.name,
                tuple(cells.get((part.name, model)) for model in models),
                _cell(look, part.amounts, spreads.services.get(part.name), part.name, None),
            )
            for part in found.services
        ),
        tuple(_cell(look, part.amounts, spreads.models.get(part.name), None, part.name) for part in found.models),
        _cell(look, found.total, _whole(spreads.cells.values()), None, None),
        spreads.is_sample,
    )


def calls_link(look: Look, service: str | None, model: str | None) -> str:
    """Give the address of this page with the calls of a service, of a model or of all, in the window that it shows."""
    shown = {} if window_asked(look) else {"range": Preset.MONTH.value}
    return look.url(**shown, service=service, model=model, after=None, **EVERY_CALL) + "#calls"


def _cell(look: Look, amounts: Amounts, spread: Spread | None, service: str | None, model: str | None) -> Cell:
    return Cell(
        amounts,
        amounts.average_tokens,
        None if spread is None else spread.p95,
        calls_link(look, service, model),
        window_asked(look) is not None and (look.asked("service"), look.asked("model")) == (service, model),
    )


def _whole(spreads: Iterable[Spread]) -> Spread | None:
    """Give the spread of all calls where they are all of one cell: of several, the parts do not tell the whole."""
    found = tuple(spreads)
    return found[0] if len(found) == 1 else None
