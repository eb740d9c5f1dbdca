"""Makes the files of others anew: ``make vendored``. With ``--lock`` the versions in package.json are pinned first."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
INSTALLED = HERE.parent / "build" / "vendored"
TARGET = HERE.parent / "src" / "jangbu" / "dashboard" / "static" / "vendor"
_ADDRESSES = frozenset({"resolved", "funding"})
_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
_LICENCES = {
    "htmx.LICENSE": "htmx.org/LICENSE",
    "echarts.LICENSE": "echarts/LICENSE",
    "echarts.NOTICE": "echarts/NOTICE",
    "zrender.LICENSE": "zrender/LICENSE",
    "tslib.LICENSE": "tslib/LICENSE.txt",
}
_MADE = {"htmx.min.js": ("htmx.org", "0BSD"), "echarts.min.js": ("echarts", "Apache-2.0")}


def main() -> None:
    """Install what is pinned, make the files, and write down what they are."""
    if "--lock" in sys.argv:
        _lock()
    make(TARGET)


def make(target: Path) -> None:
    """Make the files in a folder, with a list of their versions, licences and digests."""
    modules = _install()
    target.mkdir(parents=True, exist_ok=True)
    bundle = target / "echarts.min.js"
    subprocess.run(
        [
            modules / ".bin" / "esbuild", INSTALLED / "charts.js", "--bundle", "--minify", "--format=esm",
            "--target=es2022", "--legal-comments=none", "--log-level=warning", f"--outfile={bundle}",
        ],
        check=True,
    )  # fmt: skip
    shutil.copy(modules / "htmx.org" / "dist" / "htmx.min.js", target / "htmx.min.js")
    for name, source in _LICENCES.items():
        shutil.copy(modules / source, target / name)
    listed = {
        name: {
            "package": package,
            "version": json.loads((modules / package / "package.json").read_text())["version"],
            "license": licence,
            "sha256": hashlib.sha256((target / name).read_bytes()).hexdigest(),
        }
        for name, (package, licence) in _MADE.items()
    }
    (target / "vendored.json").write_text(json.dumps(listed, indent=2) + "\n")


def _install() -> Path:
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "charts.js"):
        shutil.copy(HERE / name, INSTALLED / name)
    subprocess.run(["npm", "ci", *_QUIET], cwd=INSTALLED, check=True)
    return INSTALLED / "node_modules"


def _lock() -> None:
    lock = HERE / "package-lock.json"
    subprocess.run(["npm", "install", "--package-lock-only", *_QUIET], cwd=HERE, check=True)
    lock.write_text(json.dumps(_without_addresses(json.loads(lock.read_text())), indent=2) + "\n")


def _without_addresses(lock: Mapping[str, Any]) -> dict[str, Any]:
    packages = {
        path: {name: value for name, value in package.items() if name not in _ADDRESSES}
        for path, package in lock["packages"].items()
    }
    return {**lock, "packages": packages}


if __name__ == "__main__":
    main()
