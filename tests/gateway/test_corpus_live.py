"""All recorded Live sessions, said to the gateway message by message: the client hears them byte for byte, and the
ledger holds one record for each report of usage, also where a session is cut and where its client leaves.

A report is a record. A turn of the model ends with a report, so a turn is a record too; a translation reports again
and again while it goes on, and each of its reports is a record of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from jangbu.testing import FakeGemini
from tests.gateway.google_accounts import TokenEndpoint
from tests.gateway.recorded_live import BY_ITSELF, DIALOGUES, Booked, Dialogue, Ending, LiveStage, Play, live_stage
from tests.providers.corpus import ABSENT

pytestmark = ABSENT

DRAIN_SECONDS = 1
CUTS = [(dialogue, count) for dialogue in DIALOGUES for count in range(1, len(dialogue.said) + 1)]


@pytest.fixture
async def live(
    database_url: str, anyone: FakeGemini, google: TokenEndpoint, tmp_path: Path
) -> AsyncIterator[LiveStage]:
    async with live_stage(database_url, anyone, google, tmp_path, drain_seconds_max=DRAIN_SECONDS) as live:
        yield live


def plays_of(cuts: Iterable[tuple[Dialogue, int]], ending: Ending) -> list[Play]:
    """Give a play for each session that is said and replied to as far as each count."""
    return [
        Play(f"{dialogue.recording.name}-{count}", dialogue, said=count, replied=count, ending=ending)
        for dialogue, count in cuts
    ]


def require_recorded(play: Play, booked: Booked, reports: int, unknown: int) -> None:
    """Require that the first reports are recorded, each once, and that nothing else is charged or held."""
    told = play.dialogue.reports(len(play.dialogue.said))[:reports]
    assert (play.user, booked.records) == (play.user, told)
    assert (play.user, booked.used) == (play.user, sum(report["total"] for report in told))
    assert (play.user, booked.open, booked.unknown) == (play.user, 0, unknown)
    assert (booked.held > 0) is (unknown > 0), play.user


def require_as_said(play: Play, booked: Booked) -> None:
    """Require that what was said is recorded as far as it was reported, and else held as unknown."""
    reports, owed = len(play.dialogue.reports(play.said)), play.dialogue.owed(play.said)
    require_recorded(play, booked, reports, int(owed > 0))


async def test_every_session_passes_unchanged_and_its_reports_are_recorded(live: LiveStage) -> None:
    assert DIALOGUES
    plays = plays_of([(dialogue, len(dialogue.said)) for dialogue in DIALOGUES], Ending.CLOSE)
    heard = await asyncio.gather(*(live.hear_out(play) for play in plays))
    booked = await live.booked(plays)
    for play, (messages, end) in zip(plays, heard, strict=True):
        assert (play.user, messages) == (play.user, list(play.dialogue.said))
        assert (play.user, end) == (play.user, BY_ITSELF)
        require_as_said(play, booked[play.user])
        expected = play.dialogue.recording.expected or {}
        records = booked[play.user].records
        sums = {name: sum(record[name] for record in records) for name in expected}
        assert (play.user, sums, bool(records)) == (play.user, expected, bool(expected))


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.BREAK_OFF])
async def test_a_session_that_is_cut_after_any_message_is_recorded_as_far_as_it_reported(
    live: LiveStage, ending: Ending
) -> None:
    plays = plays_of(CUTS, ending)
    heard = await asyncio.gather(*(live.hear_out(play) for play in plays))
    booked = await live.booked(plays)
    for play, (messages, end) in zip(plays, heard, strict=True):
        assert (play.user, messages) == (play.user, list(play.dialogue.said[: play.said]))
        assert (play.user, end[0]) == (play.user, BY_ITSELF[0] if ending is Ending.CLOSE else 1011)
        require_as_said(play, booked[play.user])


async def test_who_leaves_after_any_message_pays_for_what_was_reported_and_no_more(live: LiveStage) -> None:
    plays = plays_of(CUTS, Ending.SAY_NO_MORE)
    heard = await asyncio.gather(*(live.leave(play, good_bye=play.said % 2 == 0) for play in plays))
    booked = await live.booked(plays)
    for play, messages in zip(plays, heard, strict=True):
        assert (play.user, messages) == (play.user, list(play.dialogue.said[: play.said]))
        require_as_said(play, booked[play.user])


async def test_a_turn_that_is_open_when_its_client_leaves_is_read_on_to_its_report(live: LiveStage) -> None:
    plays = [replace(play, said=len(play.dialogue.said)) for play in plays_of(CUTS, Ending.CLOSE)]
    await asyncio.gather(*(live.leave(play, good_bye=play.replied % 2 == 0) for play in plays))
    booked = await live.booked(plays)
    for play in plays:
        dialogue, found = play.dialogue, booked[play.user]
        due = len(dialogue.reports(play.replied)) + dialogue.owed(play.replied)
        reported = len(dialogue.reports(play.said))
        # What comes before the gateway learns that its client has left is recorded as well.
        assert min(due, reported) <= len(found.records), play.user
        assert (due > reported) <= found.unknown <= dialogue.owed(play.said), play.user
        require_recorded(play, found, len(found.records), found.unknown)
