"""Two routes: the script of a comic, streamed as it is written, and its panels.

What a call cost is deducted by the gateway, so nothing here records or deducts anything.
"""

import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from google.genai import errors, types
from google.genai.client import AsyncClient
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from comics.gateway import open_client, paid_by
from comics.refusals import failure, refusal
from comics.session import SignedIn

TEXT_MODEL = os.environ.get("TEXT_MODEL", "gemini-2.5-flash")
IMAGE_MODEL = os.environ.get("IMAGE_MODEL", "gemini-2.5-flash-image")
# The limit is what the balance must cover for a call to be made, thinking included; what is charged is the answer.
SCRIPT_TOKENS_MAX = 8192
# Room for one picture of 1,290 tokens and a few words: a picture that does not fit its limit does not come at all.
PANEL_TOKENS_MAX = 2048


class Wanted(BaseModel):
    """What a page sends: JSON with names as JavaScript writes them."""

    model_config = ConfigDict(alias_generator=to_camel)


class ScriptRequest(Wanted):
    """What the story is about, and how many panels tell it."""

    story_prompt: str = Field(min_length=1, max_length=4000)
    panel_count: int = Field(ge=1, le=12)


class Panel(Wanted):
    """One panel, as the script describes it."""

    scene: str
    dialogue: str


class Character(Wanted):
    """A picture of somebody who appears in the comic."""

    mime_type: str
    data: Base64Bytes


class PanelsRequest(Wanted):
    """The panels to draw, and who appears in them."""

    panels: list[Panel] = Field(min_length=1, max_length=12)
    aspect_ratio: Literal["1:1", "3:4", "4:3", "9:16", "16:9"] = "1:1"
    selected_characters: list[Character] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep one client for all users: who pays is said call by call."""
    with open_client() as client:
        async with client.aio as gemini:
            app.state.gemini = gemini
            yield


def gemini_of(request: Request) -> AsyncClient:
    """Give the client."""
    gemini: AsyncClient = request.app.state.gemini
    return gemini


app = FastAPI(title="Comics", lifespan=lifespan)
Gemini = Annotated[AsyncClient, Depends(gemini_of)]


@app.exception_handler(errors.APIError)
async def refused(_request: Request, error: errors.APIError) -> JSONResponse:
    """Tell the user why a call was not made, or that it failed."""
    return refusal(error)


@app.post("/api/comic/script")
async def write_script(wanted: ScriptRequest, user: SignedIn, gemini: Gemini) -> Response:
    """Stream the script as lines of JSON: its texts as they are written, and what Gemini says that it used."""
    story, count = wanted.story_prompt, wanted.panel_count
    tags = {"requestType": "script_generation", "panelCount": count, "storyLength": len(story)}
    chunks = await gemini.models.generate_content_stream(
        model=TEXT_MODEL,
        contents=f"Write the script of a comic of {count} panels, one line for each, about: {story}",
        config=types.GenerateContentConfig(
            max_output_tokens=SCRIPT_TOKENS_MAX, http_options=paid_by(user, "text_generation", **tags)
        ),
    )
    # The call is made here, so that a refusal is an answer of its own and not the middle of a stream.
    first = await anext(chunks)
    return StreamingResponse(_lines(first, chunks), media_type="application/x-ndjson")


async def _lines(
    first: types.GenerateContentResponse, rest: AsyncIterator[types.GenerateContentResponse]
) -> AsyncIterator[str]:
    usage = first.usage_metadata
    try:
        yield _line({"text": first.text or ""})
        async for chunk in rest:
            usage = chunk.usage_metadata or usage
            yield _line({"text": chunk.text or ""})
    except errors.APIError as error:
        yield _line(failure(error))
        return
    yield _line({"usage": _shown(usage)})


@app.post("/api/comic/panels")
async def draw_panels(wanted: PanelsRequest, user: SignedIn, gemini: Gemini) -> Response:
    """Draw the panels, one call each, in order: where the balance ends halfway, those before are complete."""
    config = types.GenerateContentConfig(
        max_output_tokens=PANEL_TOKENS_MAX,
        response_modalities=["IMAGE"],
        image_config=types.ImageConfig(aspect_ratio=wanted.aspect_ratio),
        http_options=paid_by(
            user,
            "image_generation",
            requestType="panel_generation",
            aspectRatio=wanted.aspect_ratio,
            hasCharacterReference=bool(wanted.selected_characters),
        ),
    )
    references = [types.Part.from_bytes(data=one.data, mime_type=one.mime_type) for one in wanted.selected_characters]
    drawn: list[dict[str, Any]] = []
    for panel in wanted.panels:
        prompt = f"Draw this panel of a comic. Scene: {panel.scene} Speech: {panel.dialogue}"
        try:
            answer = await gemini.models.generate_content(
                model=IMAGE_MODEL, contents=[prompt, *references], config=config
            )
        except errors.APIError as error:
            return refusal(error, {"panels": drawn})
        image = next((part.inline_data for part in answer.parts or () if part.inline_data), None)
        if image is None or image.data is None:
            return JSONResponse({"error": "no_picture", "message": "A panel could not be drawn.", "panels": drawn}, 502)
        data = base64.b64encode(image.data).decode()
        drawn.append({"mimeType": image.mime_type, "data": data, "usage": _shown(answer.usage_metadata)})
    return JSONResponse({"panels": drawn})


def _shown(usage: types.GenerateContentResponseUsageMetadata | None) -> dict[str, Any] | None:
    return usage.model_dump(mode="json", by_alias=True, exclude_none=True) if usage else None


def _line(facts: dict[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False) + "\n"
