"""The public list is exact, each name resolves, and importing the package loads nothing else."""

import subprocess
import sys

import pytest

import jangbu

NAMES = [
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


def test_the_public_list_is_exact_and_sorted() -> None:
    assert jangbu.__all__ == NAMES == sorted(NAMES)
    assert dir(jangbu) == sorted([*NAMES, "__version__"])


@pytest.mark.parametrize("name", NAMES)
def test_each_name_resolves(name: str) -> None:
    assert getattr(jangbu, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wallet'"):
        jangbu.Wallet  # noqa: B018


def test_importing_the_package_loads_nothing_else() -> None:
    program = "import sys; before = set(sys.modules); import jangbu; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert [name for name in loaded if name.startswith("jangbu")] == ["jangbu"]
    assert not {"asyncio", "asyncpg", "google.genai", "pydantic"} & set(loaded)


def test_opening_a_meter_does_not_load_google_genai() -> None:
    program = "import sys; from jangbu import Meter; print('google.genai' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == "False"
