"""What the scenarios look at: the client, what the fake answered, and what the ledger kept."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from google import genai

from jangbu import Balance, Meter
from jangbu.testing import Answer, FakeGemini

if TYPE_CHECKING:
    from jangbu.metering.meter import Metering

USER = "minji"
BALANCE = 10_000_000
MODEL = "gemini-2.5-flash"

_RECORDS = """
SELECT t.user_id, t.service_type, t.model_name, t.total_tokens, t.metadata, u.source, u.surface, u.response_id
FROM jangbu.token_usage AS t JOIN jangbu.usage AS u USING (id) ORDER BY id
"""
_HOLDS = "SELECT state::text FROM jangbu.holds WHERE state <> 'released'"


@dataclass(frozen=True)
class Record:
    user: str
    service: str
    model: str
    total: int
    tags: Mapping[str, str] = field(hash=False)
    source: str
    surface: str
    response_id: str | None


class Stage:
    """One metered client with its fake and its ledger."""

    def __init__(self, meter: Meter, gemini: FakeGemini) -> None:
        self.meter = meter
        self.gemini = gemini
        self._clients: list[genai.Client] = []
        self.bare = self.new_client()
        self.client = meter.wrap(self.bare)

    def new_client(self, **options: Any) -> genai.Client:
        client = genai.Client(api_key="a-key", http_options=cast(Any, {"base_url": self.gemini.url, **options}))
        self._clients.append(client)
        return client

    @property
    def balance(self) -> Balance:
        return self.meter.balance(USER)

    def records(self) -> list[Record]:
        self.meter.balance(USER)
        return [
            Record(
                row["user_id"],
                row["service_type"],
                row["model_name"],
                row["total_tokens"],
                json.loads(row["metadata"] or "{}").get("tags", {}),
                row["source"],
                row["surface"],
                row["response_id"],
            )
            for row in self._fetch(_RECORDS)
        ]

    def holds(self) -> list[str]:
        self.meter.balance(USER)
        return [row["state"] for row in self._fetch(_HOLDS)]

    def answers(self) -> list[Answer]:
        """What Google would charge for: answers that report a usage, save for those of countTokens."""
        return [answer for answer in self.gemini.answers() if answer.reported and answer.surface != "count_tokens"]

    def assert_the_book_equals_the_log(self) -> None:
        """Each answer is one record with the answer's own total, the balance is their sum, and nothing is held."""
        records, answers = self.records(), self.answers()
        assert [record.total for record in records] == [total_of(answer) for answer in answers]
        assert [record.model for record in records] == [answer.model for answer in answers]
        assert self.balance == Balance(BALANCE, sum(record.total for record in records), 0)
        assert self.holds() == []

    def sent(self) -> Mapping[str, Any]:
        """The body of the one request that was sent."""
        (request,) = self.gemini.requests()
        body: Mapping[str, Any] = json.loads(request.body)
        return body

    def wait_for_request(self) -> None:
        """Wait until the fake has a request."""
        while not self.gemini.requests():
            time.sleep(0.01)

    async def close(self) -> None:
        """Close the connections of all clients; the older versions have no method for it."""
        for client in self._clients:
            api_client: Any = client._api_client
            api_client._httpx_client.close()
            await api_client._async_httpx_client.aclose()

    def _fetch(self, query: str) -> Any:
        async def fetch(metering: "Metering") -> Any:
            async with metering.database.connection() as connection:
                return await connection.fetch(query)

        return self.meter._background.wait(fetch)


def total_of(answer: Answer) -> int:
    assert answer.reported is not None
    words = ("totalTokenCount", "total_tokens", "promptTokenCount")
    return next(int(answer.reported[word]) for word in words if word in answer.reported)
