"""The matrix: which clients are driven, by which program, and over which surfaces."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / "build" / "clients"
DRIVERS = HERE / "drivers"
NODE = INSTALLED / "node"


@dataclass(frozen=True, slots=True)
class Client:
    """One client. ``environment`` is the folder of build/clients that it is installed in, "" for what the system has.

    ``secure`` names surfaces that the client reaches over TLS only. With ``vertex`` it is a client of Vertex AI.
    """

    name: str
    environment: str
    driver: str
    surfaces: tuple[str, ...]
    secure: tuple[str, ...] = ()
    package: str = ""
    vertex: bool = False

    def missing(self) -> str:
        """Say what has to be there before this client can be driven, "" where nothing is missing."""
        program = "node" if self.environment == "node" else "curl" if not self.environment else ""
        if program and shutil.which(program) is None:
            return f"{program} is not on this machine"
        if self.environment and not (INSTALLED / self.environment / "ready").exists():
            return f"build/clients/{self.environment} is not installed: run `make test-clients`"
        return ""

    def command(self, surface: str) -> list[str]:
        """Give the command that drives one surface."""
        if self.environment == "node":
            return ["node", str(NODE / self.driver), surface]
        python = str(INSTALLED / self.environment / "bin" / "python") if self.environment else sys.executable
        return [python, str(DRIVERS / self.driver), surface]


_SPOKEN = ("generate", "stream", "chat", "async", "async-stream")
_STORED = ("files", "caches")
_GENAI = (*_SPOKEN, "image", "count", "embed", *_STORED, "live")
_GENAI_LATER = (*_GENAI, "batches", "interactions", "interactions-stream", "interactions-background")
_GENAI_JS = ("generate", "stream", "chat", "image", "count", "embed", *_STORED, "batches", "live")
_GENAI_JS_ALL = (*_GENAI_JS, "interactions", "interactions-stream")
_LEGACY = ("generate", "stream", "chat", "count", "embed", "embed-many", "caches")
_CURL_PATHS = ("version-1", "version-1-alpha", "unversioned", "doubled-slash", "key-in-query", "bearer", "compressed")
_CURL = ("generate", *_CURL_PATHS, "stream", "stream-array", "count", "embed", "models", "files")
_LIVE = ("live",)
_VERTEX = (*_SPOKEN, "image", "count", "caches", "live", "express", "credentials")
_VERTEX_LATER = (*_VERTEX, "embed")
_VERTEX_JS = ("generate", "stream", "chat", "image", "count", "embed", "caches", "live", "express", "credentials")

CLIENTS = (
    Client("google-genai-1", "genai-1", "google_genai.py", _GENAI, _LIVE),
    Client("google-genai-2", "genai-2", "google_genai.py", _GENAI_LATER, _LIVE),
    Client("google-genai-3", "genai-3", "google_genai.py", _GENAI_LATER, _LIVE),
    Client("google-generativeai", "genai-2", "legacy_generativeai.py", _LEGACY),
    Client("langchain-google-genai", "genai-2", "langchain_google.py", (*_SPOKEN, "embed")),
    Client("pydantic-ai", "genai-2", "pydantic_agent.py", ("generate", "stream", "chat", "functions", "embed")),
    Client("litellm", "litellm", "litellm_completion.py", (*_SPOKEN, "unversioned", "embed")),
    Client("openai", "genai-3", "openai_compatible.py", (*_SPOKEN, "stream-usage", "embed", "models")),
    Client("js-genai-2", "node", "google_genai.mjs", _GENAI_JS_ALL, package="genai-2"),
    Client("js-genai-3", "node", "google_genai.mjs", _GENAI_JS_ALL, package="genai-3"),
    Client("js-generative-ai", "node", "generative_ai.mjs", (*_LEGACY, "files")),
    Client("ai-sdk", "node", "ai_sdk.mjs", ("generate", "stream", "chat", "image", "embed", "interactions")),
    Client("curl", "", "curl.py", _CURL),
    Client("google-genai-1-vertex", "genai-1", "google_genai.py", _VERTEX, _LIVE, vertex=True),
    Client("google-genai-2-vertex", "genai-2", "google_genai.py", _VERTEX_LATER, _LIVE, vertex=True),
    Client("google-genai-3-vertex", "genai-3", "google_genai.py", _VERTEX_LATER, _LIVE, vertex=True),
    Client("js-genai-2-vertex", "node", "google_genai.mjs", _VERTEX_JS, package="genai-2", vertex=True),
    Client("js-genai-3-vertex", "node", "google_genai.mjs", _VERTEX_JS, package="genai-3", vertex=True),
)
