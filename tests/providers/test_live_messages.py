"""What the messages of Live are understood as, in either spelling of their fields."""

import base64
import json
from typing import Any

import pytest

from jangbu.errors import InvalidInput, NotOffered
from jangbu.providers.gemini.fields import fields
from jangbu.providers.gemini.live_messages import CONTEXT_MOST, ClientMessage, ServerMessage, Setup
from jangbu.providers.gemini.references import references
from jangbu.providers.gemini.tool_bound import SEARCH_MOST

MODEL = "gemini-2.0-flash-live-001"
TURNS = [{"role": "user", "parts": [{"text": "hi"}]}]


def server(message: Any) -> ServerMessage:
    return ServerMessage.read(json.dumps(message).encode())


def told_by(message: ServerMessage) -> set[str]:
    """Give all that a message says."""
    names = ("begins", "calls", "answers", "completes", "is_interrupted", "is_error", "resumable")
    return {name for name in names if getattr(message, name)}


@pytest.mark.parametrize(
    "path",
    [
        MODEL,
        f"models/{MODEL}",
        f"publishers/google/models/{MODEL}",
        f"projects/p-1/locations/us-central1/publishers/google/models/{MODEL}",
    ],
)
def test_a_setup_names_a_model_of_googles(path: str) -> None:
    setup = Setup.read({"setup": {"model": path, "generationConfig": {"maxOutputTokens": 9}}})
    assert (setup.model, setup.model_path, setup.bounds.output_most) == (MODEL, path, 9)
    assert setup.with_model("models/other") == {"setup": {**setup.body, "model": "models/other"}}


@pytest.mark.parametrize("path", ["tunedModels/mine", "models/../x", "projects/p/locations/l/endpoints/7", "models/"])
def test_a_setup_with_another_model_is_not_offered(path: str) -> None:
    with pytest.raises(NotOffered):
        Setup.read({"setup": {"model": path}})


@pytest.mark.parametrize("message", [{}, {"setup": []}, {"setup": {}}, {"setup": {"model": 7}}, {"setup": {}, "a": 1}])
def test_what_sets_nothing_up_is_no_setup(message: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Setup.read(message)


@pytest.mark.parametrize("name", ["sessionResumption", "session_resumption"])
def test_a_handle_names_the_session_that_the_provider_told_of(name: str) -> None:
    told = server({"sessionResumptionUpdate": {"newHandle": "한글-handle", "resumable": True}})
    setup = {"model": MODEL, name: {"handle": "한글-handle", "transparent": True}}
    assert told.resumable is not None
    assert "handle" not in told.resumable, "whoever reads the ledger cannot resume the session"
    assert Setup.read({"setup": setup}).resumes == told.resumable
    assert references(fields(setup)) == (told.resumable,)


@pytest.mark.parametrize("given", [None, {}, {"handle": ""}, {"handle": None}])
def test_a_session_without_a_handle_begins_afresh(given: Any) -> None:
    assert Setup.read({"setup": {"model": MODEL, "sessionResumption": given}}).resumes is None


@pytest.mark.parametrize(
    "message",
    [
        {"clientContent": {"turns": TURNS, "turnComplete": True}},
        {"client_content": {"turns": TURNS, "turn_complete": True}},
        {"realtimeInput": {"text": "hi"}},
        {"realtime_input": {"activity_end": {}}},
        {"toolResponse": {"functionResponses": [{"name": "a"}, {"name": "b", "scheduling": "SILENT"}]}},
        {"tool_response": {"function_responses": [{"name": "a"}]}},
    ],
)
def test_the_model_has_to_answer_what_ends_a_turn(message: dict[str, Any]) -> None:
    assert ClientMessage.read(message).asks


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"clientContent": {"turns": TURNS}},
        {"realtimeInput": {"text": ""}},
        {"realtimeInput": {"audio": {"mimeType": "audio/pcm", "data": ""}}},
        {"realtimeInput": {"audioStreamEnd": True}},
        {"realtimeInput": {"activityStart": {}}},
        {"toolResponse": {"functionResponses": [{"name": "a", "scheduling": "SILENT"}]}},
        {"clientContent": "nothing", "realtimeInput": 7, "toolResponse": []},
    ],
)
def test_speech_and_what_is_only_told_ask_for_nothing(message: dict[str, Any]) -> None:
    assert not ClientMessage.read(message).asks


def test_a_session_is_not_set_up_again() -> None:
    with pytest.raises(InvalidInput):
        ClientMessage.read({"setup": {"model": MODEL}})


@pytest.mark.parametrize(
    ("rate", "seconds"), [("", 10), (";rate=16000", 10), ("; RATE=8000", 20), (";rate=100", 1_600)]
)
def test_speech_is_bounded_by_its_length_in_time(rate: str, seconds: int) -> None:
    data = base64.b64encode(bytes(10 * 32_000)).decode()
    blob = {"mimeType": f"audio/pcm{rate}", "data": data}
    for heard in ({"audio": blob}, {"mediaChunks": [blob]}, {"media_chunks": [blob]}):
        most = ClientMessage.read({"realtimeInput": heard}).input_most
        assert seconds * 32 <= most <= seconds * 32 + 2


@pytest.mark.parametrize("kind", ["audio/flac", "audio/pcmu", "audio/pcm;rate=fast", "audio/pcm;rate=1e3", "video/mp4"])
def test_what_is_heard_for_nobody_knows_how_long_may_fill_the_context(kind: str) -> None:
    heard = ClientMessage.read({"realtimeInput": {"audio": {"mimeType": kind, "data": "AAAA"}}})
    assert heard.input_most >= CONTEXT_MOST


def updated(**context: Any) -> ClientMessage:
    return ClientMessage.read({"contextUpdate": context})


@pytest.mark.parametrize(
    ("message", "most"),
    [
        (updated(tools={"tools": [{"urlContext": {}}]}), CONTEXT_MOST),
        (ClientMessage.read({"context_update": {"tools": {"tools": [{"code_execution": {}}]}}}), CONTEXT_MOST),
        (updated(tools=[{"urlContext": {}}]), CONTEXT_MOST),
        (updated(tools={"tools": [{"googleSearch": {}}]}), SEARCH_MOST),
        (updated(tools={"tools": [{"functionDeclarations": [{"name": "f"}]}]}), 0),
        (updated(tools={}), 0),
        (updated(systemInstruction={"parts": [{"text": "be brief"}]}), 0),
        (ClientMessage.read({"realtimeInput": {"text": "hi"}}), 0),
    ],
)
def test_an_update_of_the_context_may_bring_tools_that_feed_back(message: ClientMessage, most: int) -> None:
    assert message.fed_back_most("gemini-3.8-live") == most


def test_what_an_update_of_the_context_says_is_part_of_each_prompt() -> None:
    assert updated(systemInstruction={"parts": [{"text": "x" * 5_000}]}).input_most > 5_000


def test_a_film_that_the_model_goes_through_may_be_fed_to_it_again() -> None:
    film = {"fileData": {"fileUri": "files/film", "mimeType": "video/mp4"}, "mediaProcessing": "AGENTIC"}
    turns = [{"role": "user", "parts": [film]}]
    assert ClientMessage.read({"clientContent": {"turns": turns}}).fed_back_most("gemini-3.8-live") == CONTEXT_MOST


def test_nothing_hides_beside_speech() -> None:
    text = "x" * 5_000
    assert ClientMessage.read({"realtimeInput": {}, "realtime_input": {"text": text}}).input_most > len(text)
    assert ClientMessage.read({"realtimeInput": {"text": text}}).input_most > len(text)


@pytest.mark.parametrize("raw", [b"", b"no JSON", b"[]", b"7", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_object_says_nothing(raw: bytes) -> None:
    assert told_by(ServerMessage.read(raw)) == set()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"serverContent": {"modelTurn": {"parts": [{"text": "hi"}]}}}, {"begins", "answers"}),
        ({"toolCall": {"functionCalls": [{"name": "a"}]}}, {"begins", "calls", "answers"}),
        ({"serverContent": {"outputTranscription": {"text": "hi"}}}, {"answers"}),
        ({"serverContent": {"inputTranscription": {"text": "hi"}}}, {"answers"}),
        ({"serverContent": {"outputTranscription": {}}}, set()),
        ({"serverContent": {"generationComplete": True}}, set()),
        ({"serverContent": {"turnComplete": True}}, {"completes"}),
        ({"serverContent": {"interrupted": True}}, {"is_interrupted"}),
        ({"error": {"code": 8}}, {"is_error"}),
        ({"sessionResumptionUpdate": {"newHandle": "", "resumable": False}}, set()),
    ],
)
def test_what_the_provider_says_is_understood(message: dict[str, Any], said: set[str]) -> None:
    assert told_by(server(message)) == said


def test_what_names_a_file_may_fill_the_context() -> None:
    film = {"fileData": {"fileUri": "files/film", "mimeType": "video/mp4"}}
    turn = {"turns": [{"role": "user", "parts": [film]}], "turnComplete": True}
    setup = Setup.read({"setup": {"model": MODEL, "systemInstruction": {"parts": [film]}}})
    assert ClientMessage.read({"clientContent": turn}).input_most > CONTEXT_MOST
    assert (setup.bounds.input_most or 0) > CONTEXT_MOST


def test_one_piece_of_media_is_bounded_as_a_list_of_one() -> None:
    speech = {"mimeType": "audio/pcm;rate=16000", "data": "A" * 4_000_000}
    alone, listed = (ClientMessage.read({"realtimeInput": {"mediaChunks": given}}) for given in (speech, [speech]))
    assert alone.input_most == listed.input_most > 1_000


@pytest.mark.parametrize(
    "message",
    [
        {"realtimeInput": {"mediaChunks": 5}},
        {"realtimeInput": {"audio": "AAAA"}},
        {"toolResponse": {"functionResponses": True}},
    ],
)
def test_a_message_that_nobody_can_read_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ClientMessage.read(message)
