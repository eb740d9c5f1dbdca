"""Pin the clients for Node, with hashes and without addresses: ``python -m tests.clients.lock_node``."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "node"
_ADDRESSES = frozenset({"resolved", "funding"})


def main() -> None:
    """Resolve what package.json asks for and write package-lock.json."""
    lock = FOLDER / "package-lock.json"
    options = ("--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    subprocess.run(["npm", "install", *options], cwd=FOLDER, check=True)
    lock.write_text(json.dumps(_without_addresses(json.loads(lock.read_text())), indent=2) + "\n")


def _without_addresses(lock: Mapping[str, Any]) -> dict[str, Any]:
    packages = {
        path: {name: value for name, value in package.items() if name not in _ADDRESSES}
        for path, package in lock["packages"].items()
    }
    return {**lock, "packages": packages}


if __name__ == "__main__":
    main()
