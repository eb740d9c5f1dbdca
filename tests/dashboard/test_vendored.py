"""The files that others wrote: whole as they were written down, with their licences, and the same when made anew."""

import hashlib
import json
from pathlib import Path

import pytest
from vendored.__main__ import INSTALLED, make

from jangbu.dashboard.assets import FOLDER

VENDOR = FOLDER / "vendor"
LISTED = json.loads((VENDOR / "vendored.json").read_text())


@pytest.mark.parametrize("name", LISTED)
def test_a_file_is_what_was_written_down(name: str) -> None:
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == LISTED[name]["sha256"]
    assert len((VENDOR / f"{name.partition('.')[0]}.LICENSE").read_text()) > 300
    assert LISTED[name]["license"] in {"0BSD", "Apache-2.0"}


def test_every_script_of_others_is_listed() -> None:
    assert {path.name for path in VENDOR.glob("*.js")} == set(LISTED)


@pytest.mark.skipif(not (INSTALLED / "ready").exists(), reason="node and npm are not here")
def test_the_files_are_the_same_when_they_are_made_anew(tmp_path: Path) -> None:
    make(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in VENDOR.iterdir()
    }
