"""The files that pages load: ours and others', all from here, each under its own digest so that it can be kept."""

import base64
import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["FOLDER", "address", "serve"]

FOLDER = Path(__file__).parent / "static"
_KEPT = "public, max-age=31536000, immutable"
_DIGEST_LENGTH = 16


@cache
def _files() -> dict[str, tuple[str, bytes]]:
    """Read every file, once, and give it by its name with the digest of what is in it."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            found[path.relative_to(FOLDER).as_posix()] = (_digest(content), content)
    return found


def address(name: str) -> str:
    """Give the address of a file, which changes with the file. Raises KeyError where there is none."""
    return f"/dashboard/static/{_files()[name][0]}/{name}"


async def serve(request: Request) -> Response:
    """Give a file to whoever asks: nothing in these is anybody's secret."""
    digest, name = request.path_params["digest"], request.path_params["name"]
    found = _files().get(name)
    if found is None or found[0] != digest:
        return Response(status_code=404)
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    return Response(found[1], media_type=kind, headers={"cache-control": _KEPT, "x-content-type-options": "nosniff"})


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()[:_DIGEST_LENGTH]
