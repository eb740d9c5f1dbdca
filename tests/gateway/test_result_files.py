"""The file with a batch's results: in whatever form it is asked for, what it reports is charged first."""

import pytest

from jangbu.testing import Behaviour, Recorded
from tests.gateway.book import came, holds, records
from tests.gateway.stage import Stage
from tests.gateway.test_later import filed, in_file


@pytest.mark.parametrize("asked_as", ["alt=json", "%24alt=json", "alt=media&%24alt=json"])
async def test_results_are_not_shown_in_a_form_in_which_they_tell_nothing(served: Stage, asked_as: str) -> None:
    _, file = await filed(served)
    sent = len(came(served))
    assert (await served.get(f"/v1beta/{file}:download?{asked_as}"))[0] == 400
    assert len(came(served)) == sent
    status, content = await served.get(f"/v1beta/{file}:download")
    assert (status, await served.used()) == (200, (in_file(content), 0))


async def test_a_file_of_results_in_which_nothing_is_settles_nothing(served: Stage) -> None:
    _, file = await filed(served)
    served.gemini.next(Behaviour(recorded=Recorded(b"{}", "application/json")))
    assert await served.get(f"/v1beta/{file}:download?alt=media") == (200, {})
    assert (await records(served), (await served.used())[0], await holds(served)) == ([], 0, ["open"])
    status, content = await served.get(f"/v1beta/{file}:download?alt=media")
    assert (status, await served.used()) == (200, (in_file(content), 0))


@pytest.mark.parametrize("content", [b"<html>", b"{}"])
async def test_results_that_cannot_be_read_are_not_deleted(served: Stage, content: bytes) -> None:
    _, file = await filed(served)
    served.gemini.next(Behaviour(recorded=Recorded(content, "text/html")))
    assert (await served.get(f"/v1beta/{file}", method="DELETE"))[0] == 502
    assert (await records(served), await holds(served)) == ([], ["open"])
    assert (await served.get(f"/v1beta/{file}", method="DELETE"))[0] == 200
    [record] = await records(served)
    assert await served.used() == (record.tokens, 0)
