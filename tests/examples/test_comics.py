"""What the examples are for: a comic comes, its user pays what Gemini reported, and whoever cannot pay is told."""

import base64
import subprocess
from pathlib import Path

import pytest

from jangbu import Balance
from tests.examples.conftest import Comics
from tests.examples.stage import BOUGHT, TOP_UP_URL, Record, Stage

TEXT_MODEL, IMAGE_MODEL = "gemini-2.5-flash", "gemini-2.5-flash-image"
STORY = "달에 간 고양이가 치즈를 찾는다"
SCRIPT = {"storyPrompt": STORY, "panelCount": 3}
PICTURE = base64.b64encode(b"a picture of a cat").decode()
PANELS = {
    "panels": [{"scene": f"The cat takes step {step}.", "dialogue": "야옹!"} for step in range(3)],
    "aspectRatio": "3:4",
    "selectedCharacters": [{"mimeType": "image/png", "data": PICTURE}],
}
WORTH_ONE_PANEL = 3000


def test_a_comic_costs_its_user_what_gemini_reported(comics: Comics, stage: Stage) -> None:
    user, before = stage.sign_up(), len(stage.gemini.answers())
    written, script = comics.post("script", SCRIPT, user)
    drawn, panels = comics.post("panels", PANELS, user)
    assert (written, drawn) == (200, 200)
    pictures = [base64.b64decode(panel["data"]) for panel in panels[0]["panels"]]
    assert [picture[:4] for picture in pictures] == [b"\x89PNG"] * 3

    totals = [answer.counted["totalTokenCount"] for answer in stage.generated(before) if answer.counted]
    shown = [script[-1]["usage"], *(panel["usage"] for panel in panels[0]["panels"])]
    assert [usage["totalTokenCount"] for usage in shown] == totals
    assert len(totals) == 4
    script_tags = {"requestType": "script_generation", "panelCount": "3", "storyLength": str(len(STORY))}
    panel_tags = {"requestType": "panel_generation", "aspectRatio": "3:4"}
    (text, *images) = stage.records(user)
    assert text == Record("text_generation", TEXT_MODEL, totals[0], script_tags)
    assert [(image.service, image.model, image.total) for image in images] == [
        ("image_generation", IMAGE_MODEL, total) for total in totals[1:]
    ]
    assert all(panel_tags.items() <= image.tags.items() for image in images)
    assert {image.tags["hasCharacterReference"].lower() for image in images} == {"true"}
    assert stage.balance(user) == Balance(BOUGHT, sum(totals), 0)


def test_the_script_comes_with_as_many_panels_as_were_asked_for(nextjs: Comics, stage: Stage) -> None:
    _, (script,) = nextjs.post("script", SCRIPT, stage.sign_up())
    assert [sorted(panel) for panel in script["panels"]] == [["dialogue", "scene"]] * 3


def test_the_script_comes_while_it_is_written(fastapi: Comics, stage: Stage) -> None:
    _, (*pieces, last) = fastapi.post("script", SCRIPT, stage.sign_up())
    assert len(pieces) > 1
    assert all(piece.keys() == {"text"} for piece in pieces)
    assert last.keys() == {"usage"}


@pytest.mark.parametrize(("path", "body"), [("script", SCRIPT), ("panels", PANELS)])
def test_who_has_no_tokens_is_told_what_is_needed_and_nothing_is_generated(
    path: str, body: object, comics: Comics, stage: Stage
) -> None:
    user, before = stage.sign_up(tokens=0), len(stage.gemini.answers())
    status, (told,) = comics.post(path, body, user)
    assert (status, told["error"], told["available"], told["link"]) == (402, "insufficient_balance", 0, TOP_UP_URL)
    assert told["needed"] > 2048
    assert str(told["needed"]) in told["message"]
    assert stage.generated(before) == []
    assert stage.records(user) == []
    assert stage.balance(user) == Balance(0, 0, 0)


def test_what_was_drawn_before_the_balance_ended_is_kept(comics: Comics, stage: Stage) -> None:
    user, before = stage.sign_up(WORTH_ONE_PANEL), len(stage.gemini.answers())
    status, (told,) = comics.post("panels", PANELS, user)
    (only,) = stage.generated(before)
    assert only.counted is not None
    used = only.counted["totalTokenCount"]
    assert (status, told["available"]) == (402, WORTH_ONE_PANEL - used)
    assert [panel["usage"]["totalTokenCount"] for panel in told["panels"]] == [used]
    assert stage.balance(user) == Balance(WORTH_ONE_PANEL, used, 0)


@pytest.mark.parametrize(("path", "body"), [("script", SCRIPT), ("panels", PANELS)])
def test_a_call_that_fails_costs_nothing(path: str, body: object, comics: Comics, stage: Stage) -> None:
    user = stage.sign_up()
    stage.gemini.next("503")
    status, (told,) = comics.post(path, body, user)
    assert (status, told["error"]) == (502, "generation_failed")
    assert stage.balance(user) == Balance(BOUGHT, 0, 0)


def test_who_is_not_signed_in_gets_nothing(comics: Comics, stage: Stage) -> None:
    before = len(stage.gemini.answers())
    assert comics.post("script", SCRIPT, None)[0] == 401
    assert stage.gemini.answers()[before:] == []


def test_the_types_of_the_routes_hold(nextjs_folder: Path) -> None:
    checked = subprocess.run(
        ["npm", "run", "--silent", "check"], cwd=nextjs_folder, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
