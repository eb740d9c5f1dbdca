"""Who takes part in a demo, and what they bought: enough for what they will ask for, save for one who runs dry."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jangbu.cli.demo.calls import PlannedCall

__all__ = ["USERS", "DemoUser", "with_grants"]

_FAMILIES = "김이박최정강조윤장임"
_GIVEN = ("민지", "서준", "하늘", "지우", "도윤", "서연", "예준", "하은", "시우", "수아")
_KOREAN = [family + given for given in _GIVEN for family in _FAMILIES]

USERS: tuple[str, ...] = tuple(
    name for number, korean in enumerate(_KOREAN, 1) for name in (korean, f"reader-{number:03}@example.com")
)
"""Two hundred users; every other one has a Korean name."""

_GRANT_STEP = 100_000
_SPARE_TIMES = 3


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user and the tokens that they bought."""

    name: str
    grant: int
    runs_dry: bool = False


def with_grants(names: Iterable[str], calls: Sequence[PlannedCall]) -> tuple[DemoUser, ...]:
    """Give each user a grant by what their calls are going to need; one of the busier users gets half of it."""
    needed: Counter[str] = Counter()
    for call in calls:
        needed[call.user] += call.tokens_expected
    busiest = sorted(needed, key=lambda name: (-needed[name], name))
    dry = busiest[len(busiest) // 10] if busiest else ""
    return tuple(
        DemoUser(name, max(1, needed[name] // 2), runs_dry=True)
        if name == dry
        else DemoUser(name, (needed[name] * _SPARE_TIMES // _GRANT_STEP + 2) * _GRANT_STEP)
        for name in names
    )
