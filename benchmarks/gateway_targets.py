"""What the gateway benchmark measures: how each target is started and how it is called.

All of them stand between the same callers and the same upstream on 127.0.0.1, each with one process where that is its
way (Jangbu with two as well).
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gateway_answers import IMAGE_MODEL, MODEL, Kind
from benchmarks.gateway_install import Unavailable, litellm_program, nginx_program, portkey_program

USERS = 200
_KEY_SECONDS_MAX = 60
_PROMPT = "Write the script of the next panel: the hero finds the account book and every line in it adds up. " * 8
_OUTPUT_MAX = 2_048
_UPSTREAM_KEY = "upstream-key"
_MASTER_KEY = "sk-gateway-benchmark"
Call = Callable[[Kind, str], bytes]
"""Gives the bytes of one call of this kind for a user."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run takes place: its folder, and the port of its upstream."""

    folder: Path
    upstream: int

    @property
    def upstream_url(self) -> str:
        """The address of the upstream."""
        return f"http://127.0.0.1:{self.upstream}"


@dataclass(frozen=True, slots=True)
class Target:
    """One way from a caller to the upstream. Without a command there is nothing to start."""

    title: str
    port: int
    call: Call
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    data_dir: Path | None = None
    is_translated: bool = False
    """It answers in another form than Gemini's, so its bytes cannot be those of the upstream."""


def direct(site: Site) -> Target:
    """Give the upstream itself."""
    return Target("direct", site.upstream, _native())


def nginx(site: Site) -> Target:
    """Give nginx as a plain proxy with one worker and connections that are kept, passing on bytes as they come."""
    port, folder = free_port(), site.folder / "nginx"
    folder.mkdir(exist_ok=True)
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"""\
{user} worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; {temporary}
  keepalive_requests 1000000000; client_max_body_size 100m;
  upstream gemini {{ server 127.0.0.1:{site.upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://gemini; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
""")
    command = (nginx_program(), "-p", str(folder), "-c", str(folder / "nginx.conf"))
    return Target("nginx, plain proxy", port, _native(), command)


def jangbu(site: Site, data_dir: Path, workers: int) -> Target:
    """Give Jangbu's gateway on a ledger: each call is held and settled durably."""
    program, port = str(Path(sys.executable).with_name("jangbu")), free_port()
    environment = {
        "JANGBU_DATA_DIR": str(data_dir),
        "JANGBU_UPSTREAM_URL": site.upstream_url,
        "GEMINI_API_KEY": _UPSTREAM_KEY,
    }
    name = f"gateway-{workers}"
    made = subprocess.run(
        [program, "keys", "create", "--app", name, "--json"],
        env=os.environ | environment, capture_output=True, text=True, timeout=_KEY_SECONDS_MAX, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        raise Unavailable(f"`jangbu keys create` failed: {made.stderr.strip()[-200:]}")
    key = json.loads(made.stdout)["key"]
    command = (program, "serve", "--port", str(port), *(() if workers == 1 else ("--workers", str(workers))))
    title = f"Jangbu, {workers} worker{'s' if workers > 1 else ''}"
    return Target(title, port, _native(key=key), command, environment, data_dir)


def litellm(site: Site) -> Target:
    """Give LiteLLM's pass-through to Gemini, with its master key and without a database."""
    program, port = litellm_program(), free_port()
    settings = site.folder / "litellm.yaml"
    settings.write_text(f"general_settings:\n  master_key: {_MASTER_KEY}\n")
    environment = {
        "GEMINI_API_BASE": site.upstream_url,
        "GEMINI_API_KEY": _UPSTREAM_KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    command = (
        program, "--host", "127.0.0.1", "--port", str(port), "--config", str(settings), "--telemetry", "False"
    )  # fmt: skip
    return Target("LiteLLM, pass-through", port, _native(prefix="/gemini", key=_MASTER_KEY), command, environment)


def portkey(site: Site) -> Target:
    """Give Portkey's gateway, called by its chat route with the upstream as Gemini's host."""
    program, port = portkey_program(), free_port()
    headers = {
        "Authorization": f"Bearer {_UPSTREAM_KEY}",
        "x-portkey-provider": "google",
        "x-portkey-custom-host": site.upstream_url,
    }
    command = ("node", program, "--headless", f"--port={port}")
    environment = {"NODE_ENV": "production"}
    return Target("Portkey, chat", port, _chat(headers), command, environment, is_translated=True)


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _native(prefix: str = "", key: str = _UPSTREAM_KEY) -> Call:
    """Give calls in Gemini's own form."""

    def call(kind: Kind, user: str) -> bytes:
        model = IMAGE_MODEL if kind is Kind.IMAGE else MODEL
        verb = "streamGenerateContent?alt=sse" if kind is Kind.STREAM else "generateContent"
        body = {
            "contents": [{"role": "user", "parts": [{"text": _PROMPT}]}],
            "generationConfig": {"maxOutputTokens": _OUTPUT_MAX},
        }
        headers = {"x-goog-api-key": key, "x-jangbu-user": user, "x-jangbu-service": "text_generation"}
        return _post(f"{prefix}/v1beta/models/{model}:{verb}", headers, body)

    return call


def _chat(headers: Mapping[str, str]) -> Call:
    """Give calls in OpenAI's form."""

    def call(kind: Kind, user: str) -> bytes:
        body = {
            "model": IMAGE_MODEL if kind is Kind.IMAGE else MODEL,
            "messages": [{"role": "user", "content": _PROMPT}],
            "max_tokens": _OUTPUT_MAX,
            "stream": kind is Kind.STREAM,
            "user": user,
        }
        return _post("/v1/chat/completions", headers, body)

    return call


def _post(path: str, headers: Mapping[str, str], body: Mapping[str, object]) -> bytes:
    content = json.dumps(body, separators=(",", ":")).encode()
    given = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + content
