"""The peers of the gateway benchmark, installed where they are missing: Debian's packages, a venv and an npm folder.

What cannot be installed raises Unavailable with a reason, and the results say so. The locks are renewed by hand: the
one of ``litellm[proxy]`` with ``uv pip compile --universal --python-version 3.11 --generate-hashes``, without header,
the other with ``npm install --package-lock-only``.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_BUILD = _ROOT / "build"
_LITELLM_LOCK = _ROOT / "requirements-bench-litellm.lock"
_PORTKEY_LOCK = Path(__file__).parent / "portkey" / "package-lock.json"
_INSTALL_SECONDS_MAX = 900
_REASON_LENGTH = 300


class Unavailable(Exception):
    """A target that cannot be measured here, and why."""


def nginx_program() -> str:
    """Give nginx, installed from Debian where it is missing."""
    return _debian("nginx")


def wrk_program() -> str:
    """Give the load generator wrk, installed from Debian where it is missing."""
    return _debian("wrk")


def litellm_program() -> str:
    """Give LiteLLM's proxy from a virtual environment of its own, as the lock pins it."""
    folder = _BUILD / "bench-litellm"
    if not _is_ready(folder, _LITELLM_LOCK):
        print("installing LiteLLM", flush=True)
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--require-hashes", "--no-deps", "-r", str(_LITELLM_LOCK)])
        _mark_ready(folder, _LITELLM_LOCK)
    return str(folder / "bin" / "litellm")


def portkey_program() -> str:
    """Give Portkey's gateway from an npm folder of its own, as the lock pins it; no install script is run."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Unavailable("node and npm are not installed")
    folder = _BUILD / "bench-portkey"
    if not _is_ready(folder, _PORTKEY_LOCK):
        print("installing Portkey's gateway", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_PORTKEY_LOCK.with_name(name), folder / name)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder)])
        _mark_ready(folder, _PORTKEY_LOCK)
    return str(folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js")


def _debian(name: str) -> str:
    """Give a program of the Debian package of its name. Debian keeps servers where only root looks."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    if (found := shutil.which(name, path=path)) is not None:
        return found
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Unavailable(f"{name} is not installed: `apt-get install {name}` as root")
    print(f"installing {name}", flush=True)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", name]
    try:
        _run(install, quiet)
    except Unavailable:
        # The list of packages may be old, or not there yet.
        _run(["apt-get", "update", "--quiet"], quiet)
        _run(install, quiet)
    if (found := shutil.which(name, path=path)) is None:
        raise Unavailable(f"the package {name} holds no program {name}")
    return found


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    what = " ".join([Path(command[0]).name, *command[1:4]])
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_INSTALL_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"`{what}` took longer than {_INSTALL_SECONDS_MAX} s") from None
    if done.returncode != 0:
        raise Unavailable(f"`{what}` failed: {(done.stderr or done.stdout).strip()[-_REASON_LENGTH:]}")


def _is_ready(folder: Path, lock: Path) -> bool:
    stamp = folder / "ready"
    return stamp.is_file() and stamp.read_text() == _digest(lock)


def _mark_ready(folder: Path, lock: Path) -> None:
    (folder / "ready").write_text(_digest(lock))


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()
