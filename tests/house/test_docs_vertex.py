"""The clients of Vertex AI that docs/operation.md shows reach the gateway that it shows. That for Node runs in
tests/clients.
"""

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.gateway.google_accounts import token_endpoint
from tests.gateway.vertex import PLACE, PROJECT, sent, vertex_stage
from tests.house.receivers import section

from jangbu.testing import FakeGemini

SHOWN = section("Clients of Vertex AI")


async def test_the_code_that_is_shown_is_answered_and_charged(database_url: str, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", SHOWN, re.DOTALL)
    app = tmp_path / "app.py"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "GEMINI_"))}
    with token_endpoint() as google, FakeGemini() as gemini:
        async with vertex_stage(database_url, gemini, vertex_credentials=google.key_file(tmp_path)) as served:
            app.write_text(f"gateway, key = {served.url!r}, {served.key!r}\n{code}")
            running = await asyncio.create_subprocess_exec(sys.executable, str(app), env=kept, stdout=-1)
            said, _ = await running.communicate()
            charged = [answer.counted["totalTokenCount"] for answer in gemini.answers() if answer.counted]
            assert (running.returncode, len(said.splitlines()), len(charged)) == (0, 2, 2)
            assert await served.used() == (sum(charged), 0)
            for path, bearer, key in sent(served):
                assert path.startswith(f"/v1beta1/{PLACE}/publishers/google/models/")
                assert (bearer, key) == ("Bearer token-1", None)


def test_what_the_operator_sets_and_what_the_clients_name_are_one_project() -> None:
    assert SHOWN.count(f'"{PROJECT}"') == 2
    assert f"JANGBU_VERTEX_PROJECT={PROJECT} " in SHOWN
