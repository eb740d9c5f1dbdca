"""The clients of Vertex AI that docs/operation.md shows, each as every release of it runs them."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.matrix import CLIENTS, NODE, Client
from tests.clients.targets import Target, Visit

SHOWN = (Path(__file__).parents[2] / "docs/operation.md").read_text().partition("\n## Clients of Vertex AI\n")[2]
GOOGLES = [client for client in CLIENTS if client.vertex]
HEADERS = '{"x-jangbu-user": "kim"}'
HEADERS_JS = '{ "x-jangbu-user": "kim" }'


@pytest.mark.parametrize("client", GOOGLES, ids=lambda client: client.name)
def test_the_code_that_is_shown_is_answered_and_charged(client: Client, target: Target, tmp_path: Path) -> None:
    if client.missing():
        pytest.skip(client.missing())
    visit = target.visit(vertex=True)
    ended = subprocess.run(written(client, visit, tmp_path), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == len(visit.charged.expected()) == 2
    visit.charged.assert_exact()


def written(client: Client, visit: Visit, folder: Path) -> list[str]:
    """Write the code down for a visit; give the command that runs it."""
    language, known = ("js", HEADERS_JS) if client.package else ("python", HEADERS)
    code = re.findall(rf"```{language}\n(.*?)```", SHOWN, re.DOTALL)[0].replace(known, headers(visit))
    if client.package:
        # Node looks for packages from where a program lies.
        app = NODE / f"docs-{client.package}.mjs"
        code = code.replace('"@google/genai"', json.dumps(client.package))
        app.write_text(f"const gateway = {json.dumps(visit.base_url)}, key = {json.dumps(visit.api_key)};\n{code}")
        return ["node", str(app)]
    app = folder / "app.py"
    app.write_text(f"gateway, key = {visit.base_url!r}, {visit.api_key!r}\n{code}")
    return [client.command("")[0], str(app)]


def headers(visit: Visit) -> str:
    """Give the headers of whom a visit is for, which are the same in both languages."""
    given = visit.environment()
    return json.dumps({"x-jangbu-user": given["USER_HEADER_VALUE"], "x-jangbu-service": given["SERVICE"]})
