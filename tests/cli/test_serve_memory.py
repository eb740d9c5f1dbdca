"""Memory that is free between what is in use goes back to the system."""

import platform
import subprocess
import sys

import pytest

HOLES = """
import asyncio
from pathlib import Path
from jangbu.cli.serve.memory import give_back_free_pages, give_back_large_blocks

def resident() -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024

async def main() -> None:
    give_back_large_blocks()
    kept = [b"x" * 32_000 for _ in range(2_000)]
    whole = resident()
    del kept[::2]
    giving = asyncio.create_task(give_back_free_pages())
    async with asyncio.timeout(30):
        while resident() > whole - 20_000_000:
            await asyncio.sleep(0.1)
    assert not giving.done()

asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_what_lies_free_between_blocks_in_use_goes_back() -> None:
    ended = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
