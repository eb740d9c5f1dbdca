"""An app has Jangbu beside other packages, which bind it to versions of what they share."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements-clients-*.lock"))
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem.removeprefix("requirements-clients-"))
def test_an_app_has_the_sdk_beside_the_newest_clients(lock: Path) -> None:
    pinned = dict(_PIN.findall(lock.read_text()))
    wanted = map(Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    refused = [
        f"{each}, not {pinned[each.name]}"
        for each in wanted
        if each.name in pinned and not each.specifier.contains(pinned[each.name])
    ]
    assert pinned
    assert refused == []
