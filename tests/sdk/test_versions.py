"""The scenarios hold on every google-genai that is supported, not only on the one that is installed.

The oldest 1.x and the latest 2.x are unpacked by `make test` in build/ and put in front of the installed one. They run
without aiohttp, as in an app that has the SDK alone: with it, 1.x takes a piece of a stream for a whole event.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIOS = "tests/sdk/scenarios"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("folder", "version"), [("genai-1", "1.21.1"), ("genai-2", "2.34.0")])
def test_the_scenarios_hold_on_another_google_genai(folder: str, version: str, server: str, tmp_path: Path) -> None:
    unpacked = ROOT / "build" / folder
    if not (unpacked / "google" / "genai").is_dir():
        pytest.skip(f"google-genai {version} is not unpacked in build/{folder}: run `make test`")
    (tmp_path / "aiohttp.py").write_text("raise ImportError('as if it were not installed')")
    path = os.pathsep.join((str(unpacked), str(tmp_path)))
    environment = {**os.environ, "PYTHONPATH": path, "JANGBU_TEST_DSN": server}
    installed = _run(["-c", "import google.genai; print(google.genai.__version__)"], environment)
    assert installed.stdout.strip() == version
    ended = _run(["-m", "pytest", SCENARIOS, "-q", "-p", "no:cacheprovider"], environment)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]
    passed = re.search(r"(\d+) passed", ended.stdout)
    assert passed is not None
    assert int(passed[1]) > 60


def _run(arguments: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments], check=False, cwd=ROOT, env=environment, capture_output=True, text=True
    )
