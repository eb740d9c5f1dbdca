"""What the clients are pointed at: the gateway before the fake Gemini, or the fake itself.

``JANGBU_CLIENTS_TARGET`` chooses: ``gateway`` (the default) or ``fake``, which is for work on the drivers. Against the
fake the drivers are checked alone; against the gateway the record, the balance and the holds are checked as well.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from jangbu import Balance, Meter
from jangbu.testing import Answer, FakeGemini
from tests.gateway.google_accounts import token_endpoint
from tests.ports import free_port

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

DEFAULT_TARGET = "gateway"
SERVICE = "matrix_service"
BOUGHT = 10_000_000
UPSTREAM_KEY = "the-key-that-only-the-gateway-knows"
PROJECT = "shop-project"
LOCATION = "us-central1"
PATIENCE_SECONDS = 60

_CHARGED_SURFACES = frozenset(
    {
        "generate_content",
        "stream_generate_content",
        "embed_content",
        "batch_embed_contents",
        "batch",
        "live",
        "interaction_create",
        "interaction",
        "openai_chat",
        "openai_embeddings",
    }
)
"""The fake's surfaces that cost tokens. A batch and an interaction may be shown often: each answer costs once."""
_RECORDS = """
SELECT t.service_type, t.model_name, t.total_tokens, u.source, u.response_id
FROM jangbu.token_usage AS t JOIN jangbu.usage AS u USING (id) WHERE t.user_id = $1 ORDER BY id
"""
_TOTALS = ("totalTokenCount", "total_tokens", "promptTokenCount")


@dataclass(frozen=True, slots=True)
class Charge:
    """What one answer costs, by the fake's own log. Answers of some surfaces bear no id."""

    total: int
    response_id: str | None


class Charged(Protocol):
    """What the calls of one run have cost."""

    def expected(self) -> list[Charge]:
        """Give what the fake's log says that they cost."""
        ...

    def assert_exact(self) -> None:
        """Compare the ledger with that, where the target keeps one."""
        ...


@dataclass(frozen=True, slots=True)
class Visit:
    """A user with a balance, and how a client reaches the target for them: with ``vertex`` as Vertex AI, in the project
    of the target. ``certificate`` is set where that is TLS.
    """

    base_url: str
    api_key: str
    user_header: str
    charged: Charged
    certificate: Path | None = None
    vertex: bool = False

    def environment(self) -> dict[str, str]:
        """Give the variables that a driver reads, and those by which clients find a certificate to trust."""
        given = {"BASE_URL": self.base_url, "API_KEY": self.api_key, "SERVICE": SERVICE}
        given["USER_HEADER_VALUE"] = self.user_header
        if self.vertex:
            given |= {"VERTEX_PROJECT": PROJECT, "VERTEX_LOCATION": LOCATION}
        trusting = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")
        return given | (dict.fromkeys(trusting, str(self.certificate)) if self.certificate else {})


class Target(Protocol):
    """What the clients are pointed at."""

    def visit(self, *, secure: bool = False, own_key: bool = False, vertex: bool = False) -> Visit:
        """Let a new user in: over TLS or not, by the app's key and a header or by a key of the user's own, and to
        Vertex AI or to the Gemini API.
        """
        ...


@contextmanager
def open_target(server: str) -> Iterator[Target]:
    """Start the target that the environment chooses. ``server`` is the address of a migrated, empty database."""
    chosen = os.environ.get("JANGBU_CLIENTS_TARGET", DEFAULT_TARGET)
    with ExitStack() as stack:
        yield FakeTarget(stack) if chosen == "fake" else GatewayTarget(stack, server)


class FakeTarget:
    """The fake Gemini itself, once without and once with TLS."""

    def __init__(self, stack: ExitStack) -> None:
        self._plain = stack.enter_context(FakeGemini())
        self._secure = stack.enter_context(FakeGemini(tls=True))

    def visit(self, *, secure: bool = False, own_key: bool = False, vertex: bool = False) -> Visit:
        """Let a new user in; the fake takes every key."""
        gemini = self._secure if secure else self._plain
        user = "" if own_key else f"user-{uuid4().hex}"
        charged = LoggedCharges(gemini, len(gemini.answers()))
        return Visit(gemini.url, "any-key", user, charged, gemini.certificate, vertex)


@dataclass(frozen=True, slots=True)
class LoggedCharges:
    """The fake's answers after the first ``before``; there is no ledger."""

    gemini: FakeGemini
    before: int

    def expected(self) -> list[Charge]:
        """Give what the log says that the calls cost."""
        charges: dict[str, Charge] = {}
        for answer in self.gemini.answers()[self.before :]:
            charge = _charge(answer)
            if charge is not None:
                charges.setdefault(charge.response_id or f"answer {answer.order}", charge)
        return list(charges.values())

    def assert_exact(self) -> None:
        """Compare nothing: whoever is asked is who counted."""


class GatewayTarget:
    """``jangbu serve`` as a process, without and, when first needed, with TLS; both on one ledger and one upstream."""

    def __init__(self, stack: ExitStack, database_url: str) -> None:
        self._stack = stack
        self._database_url = database_url
        self._gemini = stack.enter_context(FakeGemini(api_key=UPSTREAM_KEY))
        # Vertex AI is opened by a token of the service account's, and by no key.
        self._vertex = stack.enter_context(FakeGemini())
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._account = stack.enter_context(token_endpoint()).key_file(self._folder)
        self._meter = stack.enter_context(Meter.open(database_url))
        self._app_key = json.loads(self._run("keys", "create", "--app", "matrix", "--json"))["key"]
        self._served: dict[bool, Mapping[str, str]] = {}

    def visit(self, *, secure: bool = False, own_key: bool = False, vertex: bool = False) -> Visit:
        """Let a new user in, with a grant."""
        if secure not in self._served:
            self._served[secure] = self._serve(*(["--tls-self-signed"] if secure else []))
        served = self._served[secure]
        user = f"user-{uuid4().hex}"
        self._meter.create(user)
        self._meter.grant(user, BOUGHT, key="bought")
        key = json.loads(self._run("keys", "create", "--user", user, "--json"))["key"] if own_key else self._app_key
        gemini = self._vertex if vertex else self._gemini
        charged = LedgerCharges(LoggedCharges(gemini, len(gemini.answers())), self._meter, user)
        certificate = Path(served["certificate"]) if secure else None
        return Visit(served["url"], key, "" if own_key else user, charged, certificate, vertex)

    def _serve(self, *options: str) -> Mapping[str, str]:
        """Start a gateway that stops with the tests; give the first line that it writes."""
        complaints = self._folder / f"gateway-{len(self._served)}.err"
        command = [sys.executable, "-m", "jangbu", "serve", "--port", str(free_port()), "--json", *options]
        with complaints.open("w") as file:
            process = subprocess.Popen(command, env=self._environment(), stdout=subprocess.PIPE, stderr=file, text=True)
        self._stack.callback(_stop, process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the gateway did not start: {complaints.read_text()}"
        served: Mapping[str, str] = json.loads(line)
        return served

    def _run(self, *words: str) -> str:
        command = [sys.executable, "-m", "jangbu", *words]
        ended = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JANGBU_", "GEMINI_"))}
        ours = {"JANGBU_DATABASE_URL": self._database_url, "JANGBU_UPSTREAM_URL": self._gemini.url}
        own = {"GEMINI_API_KEY": UPSTREAM_KEY, "JANGBU_SPOOL_DIR": os.environ["JANGBU_SPOOL_DIR"]}
        vertex = {"PROJECT": PROJECT, "LOCATIONS": LOCATION, "CREDENTIALS": str(self._account), "URL": self._vertex.url}
        return kept | ours | own | {f"JANGBU_VERTEX_{name}": value for name, value in vertex.items()}


@dataclass(frozen=True, slots=True)
class LedgerCharges:
    """What the ledger holds for one user, beside the fake's answers since the user was let in."""

    logged: LoggedCharges
    meter: Meter
    user: str

    def expected(self) -> list[Charge]:
        """Give what the log says that the calls cost."""
        return self.logged.expected()

    def assert_exact(self) -> None:
        """Each answer is one record with its own total and service, the balance is their sum, and nothing is held."""
        expected, records = self.expected(), self._records()
        totals = [record["total_tokens"] for record in records]
        assert sorted(totals) == sorted(charge.total for charge in expected)
        recorded = {(record["response_id"], record["total_tokens"]) for record in records}
        named = {(charge.response_id, charge.total) for charge in expected if charge.response_id}
        assert named <= recorded
        assert {record["service_type"] for record in records} <= {SERVICE}
        assert {record["source"] for record in records} <= {"reported"}
        assert self._settled_balance() == Balance(BOUGHT, sum(totals), 0)

    def _records(self) -> list[Any]:
        async def fetch(metering: "Metering") -> list[Any]:
            async with metering.database.connection() as connection:
                return list(await connection.fetch(_RECORDS, self.user))

        return self.meter._background.wait(fetch)

    def _settled_balance(self) -> Balance:
        """Give the balance once nothing is held: a Live session gives its hold back after the client has left."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (balance := self.meter.balance(self.user)).held and time.monotonic() < deadline:
            time.sleep(0.05)
        return balance


def _charge(answer: Answer) -> Charge | None:
    """Give what an answer costs: a batch the sum of its members, a new cache a record of no tokens (it is stored by the
    hour), and None where nothing is recorded at all.
    """
    if answer.surface == "cache_create":
        return Charge(0, None)
    if answer.surface not in _CHARGED_SURFACES:
        return None
    if answer.members:
        return Charge(sum(_total(member["usage"]) for member in answer.members), answer.response_id)
    usage = answer.reported or answer.counted
    return Charge(_total(usage), answer.response_id) if usage else None


def _total(usage: Mapping[str, Any]) -> int:
    return next(int(usage[word]) for word in _TOTALS if word in usage)


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
