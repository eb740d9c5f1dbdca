"""A gateway alone does without the API's framework, which is loaded when the API is first asked for."""

import subprocess
import sys


def test_what_serves_loads_no_framework_until_the_api_is_asked() -> None:
    script = "import sys, jangbu.cli.serve.process; assert 'fastapi' not in sys.modules; import jangbu.api.rest.parts"
    subprocess.run([sys.executable, "-c", f"{script}; assert 'fastapi' in sys.modules"], check=True)
