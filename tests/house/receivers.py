"""Receivers as docs/operation.md shows them: run as they stand there, and posted to as Jangbu or anybody else does."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.cli.service import eventually
from tests.ports import free_port

from jangbu.alerts.signature import secret_bytes, signature_of

__all__ = ["SECRET", "post", "receiving", "section", "signed"]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = str(uuid4())


def section(title: str) -> str:
    """Give what stands under a title."""
    whole = (Path(__file__).parents[2] / "docs/operation.md").read_text()
    return whole.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@contextmanager
def receiving(shown: str, folder: Path, setting: str) -> Iterator[tuple[str, Path]]:
    """Run the receiver that is shown, which reads its secret from a setting; give its address, and what it writes."""
    (code,) = re.findall(r"```python\n(.*?)```", shown, re.DOTALL)
    (folder / "receiver.py").write_text(code)
    port, said = free_port(), folder / "said"
    with said.open("w") as out, (folder / "requests").open("w") as log:
        running = subprocess.Popen(
            [sys.executable, str(folder / "receiver.py")],
            env={**os.environ, setting: SECRET, "PORT": str(port)},
            stdout=out,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}/"
    eventually(lambda: post(address, b"", {}) == 401)
    yield address, said
    running.kill()
    running.wait()


def post(address: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Post a body; give the status, or 0 where nobody listens yet."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data=body, headers=dict(headers))) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def signed(body: bytes, *, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    """Give the headers of a body that was signed so many seconds ago."""
    timestamp = int(time.time()) - age
    return {
        "webhook-id": ID,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_of(secret_bytes(secret), id_=ID, timestamp=timestamp, body=body),
    }
