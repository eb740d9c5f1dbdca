"""What a body names that lives at the provider: found in whatever spelling, and nothing found in what is only data."""

import json
from typing import Any

import pytest

from jangbu.providers.gemini.fields import fields
from jangbu.providers.gemini.references import files_made, references

GOOGLE = "https://generativelanguage.googleapis.com"


def part(uri: str) -> dict[str, Any]:
    return {"contents": [{"parts": [{"text": "what is this?"}, {"fileData": {"fileUri": uri}}]}]}


@pytest.mark.parametrize(
    "uri",
    [
        f"{GOOGLE}/v1beta/files/a1",
        f"{GOOGLE}/v1/files/a1:download?alt=media",
        f"{GOOGLE}:443/v1beta/files/a1",
        f"{GOOGLE}./v1beta/files/a1",
        f"{GOOGLE}/v1beta/files/a1#t=1",
        f" {GOOGLE}/v1beta/files/a1 ",
        "HTTPS://GenerativeLanguage.GoogleAPIs.com/v1beta/files/a1",
        "https://user@generativelanguage.googleapis.com/v1beta/files/a1",
        "https://generativelanguage%2Egoogleapis.com/v1beta/files/a1",
        "https://ｇenerativelanguage.googleapis.com/v1beta/files/a1",
        "https://generativelanguage.mtls.googleapis.com/v1beta/files/a1",
        "https:\\\\generativelanguage.googleapis.com\\v1beta\\files\\a1",
        "//generativelanguage.googleapis.com/v1beta/files/a1",
        f"{GOOGLE}/v1beta/files%2Fa1",
        f"{GOOGLE}/v1beta/files%252Fa1",
        "/v1beta/files/a1",
        "files/a1",
        "a1",
    ],
)
def test_a_file_is_found_however_its_address_is_written(uri: str) -> None:
    assert references(fields(part(uri))) == ("files/a1",)


@pytest.mark.parametrize(
    "uri",
    [
        "https://www.youtube.com/watch?v=9hE5-98ZeCg",
        "https://youtu.be/9hE5-98ZeCg",
        "gs://bucket/files/picture.png",
        "https://storage.googleapis.com/bucket/files/picture.png",
        "https://example.com/files/report.pdf",
        "http://example.com:8080/a/files/b",
        "https://한국.example/files/보고서.pdf",
    ],
)
def test_what_lies_elsewhere_belongs_to_nobody_here(uri: str) -> None:
    assert references(fields(part(uri))) == ()


@pytest.mark.parametrize(
    "uri", ["files/", "Files/a1", "what is this", f"{GOOGLE}/v1beta/corpora/x", "files/a?b=c d", "\0"]
)
def test_what_is_no_address_and_no_file_is_nobodys(uri: str) -> None:
    found = references(fields(part(uri)))
    assert len(found) == 1
    assert found[0] in (f"{uri[:100]}…", "files/a")


def test_an_address_with_two_names_names_both() -> None:
    assert references(fields(part(f"{GOOGLE}/v1beta/files/mine?x=files/theirs"))) == ("files/mine", "files/theirs")


@pytest.mark.parametrize("holder", ["fileData", "file_data", "FileData", "file_Data"])
@pytest.mark.parametrize("field", ["fileUri", "file_uri", "FileUri", "file_Uri"])
def test_fields_are_found_in_every_spelling(holder: str, field: str) -> None:
    assert references(fields({"contents": {"parts": [{holder: {field: "files/a1"}}]}})) == ("files/a1",)


def test_escapes_of_json_hide_nothing() -> None:
    body = '{"contents":[{"parts":[{"\\u0066ileData":{"file\\u0055ri":"\\u0066iles\\u002fa1"}}]}]}'
    assert references(fields(json.loads(body))) == ("files/a1",)


def test_neither_depth_nor_lists_hide_anything() -> None:
    body: Any = {"fileUri": ["files/a1"]}
    for _ in range(500):
        body = [{"parts": body}]
    assert references(fields({"contents": body})) == ("files/a1",)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param({"cachedContent": "cachedContents/c1"}, "cachedContents/c1", id="a cache"),
        pytest.param({"cached_content": "c1"}, "cachedContents/c1", id="a cache by its id"),
        pytest.param({"cachedContent": "projects/p/locations/l/cachedContents/c1"}, "cachedContents/c1", id="Vertex"),
        pytest.param({"cachedContent": "cachedContents/c1/"}, "cachedContents/c1/…", id="a slash too many"),
        pytest.param({"cachedContent": "cachedContents%2Fc1"}, "cachedContents/cachedContents%2Fc1", id="encoded"),
        pytest.param({"cachedContent": "a/cachedContents/c1"}, "a/cachedContents/c1…", id="a cache of something"),
        pytest.param(
            {"generateContentRequest": {"cachedContent": "cachedContents/c1"}}, "cachedContents/c1", id="count"
        ),
        pytest.param(
            {"extra_body": {"google": {"cached_content": "cachedContents/c1"}}}, "cachedContents/c1", id="OpenAI"
        ),
        pytest.param({"batch": {"inputConfig": {"fileName": "files/a1"}}}, "files/a1", id="the input of a batch"),
        pytest.param({"batch": {"input_config": {"file_name": "files/a1"}}}, "files/a1", id="snake_case"),
        pytest.param({"previous_interaction_id": "v1_abc"}, "interactions/v1_abc", id="an interaction"),
        pytest.param({"previousInteractionId": "interactions/i"}, "interactions/i", id="an interaction's name"),
        pytest.param({"previous_interaction_id": "i?x=/mine"}, "i?x=/mine…", id="more than an id"),
        pytest.param({"environment": "env-1"}, "environments/env-1", id="an environment"),
        pytest.param({"environment": {"environment_id": "env-1"}}, "environments/env-1", id="an environment's id"),
        pytest.param(
            {"messages": [{"content": [{"type": "file", "file": {"file_id": "files/a1"}}]}]}, "files/a1", id="file_id"
        ),
        pytest.param(
            {"messages": [{"content": [{"type": "image_url", "image_url": {"url": f"{GOOGLE}/v1beta/files/a1"}}]}]},
            "files/a1",
            id="image_url",
        ),
        pytest.param({"messages": [{"content": [{"image_url": "files/a1"}]}]}, "files/a1", id="image_url as a text"),
        pytest.param({"input": [{"type": "image", "uri": f"{GOOGLE}/v1/files/a1"}]}, "files/a1", id="an input"),
        pytest.param(
            {"instances": [{"video": {"uri": f"{GOOGLE}/v1/files/a1"}}]}, "files/a1", id="a video to go on from"
        ),
        pytest.param(
            {"input": [{"type": "function_result", "result": [{"type": "image", "uri": "files/a1"}]}]},
            "files/a1",
            id="what a function gives back",
        ),
        pytest.param(
            {"input": [{"type": "function_result", "result": {"items": [{"type": "image", "uri": "files/a1"}]}}]},
            "files/a1",
            id="what a function gives back as items",
        ),
        pytest.param(
            {"input": [{"type": "function_result", "result": {"Items": {"URI": "files/a1", "mimeType": ""}}}]},
            "files/a1",
            id="what a function gives back as an item without a type of its own",
        ),
        pytest.param(
            {"input": [{"type": "function_result", "result": {"type": "image", "uri": "files/a1"}}]},
            "files/a1",
            id="what a function gives back alone",
        ),
        pytest.param(
            {"input": {"type": "function_result", "result": {"uri": "files/a1", "mime_type": "image/png"}}},
            "files/a1",
            id="what a function gives back alone, without a type of its own",
        ),
        pytest.param(
            {
                "input": [
                    {
                        "content": [
                            {"type": "function_result", "result": {"items": [[{"type": "image", "uri": "files/a1"}]]}}
                        ]
                    }
                ]
            },
            "files/a1",
            id="what a function gives back in a turn",
        ),
        pytest.param(
            {"input": [{"type": "function_result", "result": {"content": [{"type": "Image", "Uri": "files/a1"}]}}]},
            "files/a1",
            id="content deep in what a function gives back",
        ),
        pytest.param(
            {"contents": [{"parts": [{"functionResponse": {"parts": [{"fileData": {"fileUri": "files/a1"}}]}}]}]},
            "files/a1",
            id="a part of what a function gives back",
        ),
    ],
)
def test_every_surface_is_read(body: dict[str, Any], named: str) -> None:
    assert references(fields(body)) == (named,)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"environment": "remote"}, id="an environment to be made"),
        pytest.param({"cachedContent": ""}, id="nothing"),
        pytest.param({"contents": [{"parts": [{"text": "see files/a1 and cachedContents/c1"}]}]}, id="a text"),
        pytest.param(
            {"contents": [{"parts": [{"functionCall": {"name": "open", "args": {"file_id": "7", "uri": "files/a"}}}]}]},
            id="a function's arguments",
        ),
        pytest.param(
            {"contents": [{"parts": [{"function_response": {"response": {"fileUri": "x", "url": "files/a"}}}]}]},
            id="a function's answer",
        ),
        pytest.param({"input": [{"type": "function_call", "arguments": {"file_id": "7"}}]}, id="a step's arguments"),
        pytest.param({"input": [{"type": "function_result", "result": {"file_id": "7"}}]}, id="a step's result"),
        pytest.param(
            {
                "input": [
                    {
                        "type": "function_result",
                        "result": {
                            "items": [
                                {"file_id": "7", "cached_content": "c"},
                                "files/a",
                                {"type": "page", "url": "files/a"},
                            ],
                            "pages": [{"uri": "files/a"}, {"type": "text", "fileUri": "files/a", "url": "files/a"}],
                            "environment": "prod",
                            "previous_interaction_id": "8",
                            "continuationToken": "9",
                        },
                    }
                ]
            },
            id="a step's result that has names of Google's fields",
        ),
        pytest.param({"labels": {"file_id": "7", "environment": "prod"}}, id="labels"),
        pytest.param(
            {"batch": {"inputConfig": {"requests": {"requests": [{"metadata": {"uri": "files/a"}}]}}}}, id="batch"
        ),
        pytest.param(
            {
                "messages": [
                    {"content": [{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:;base64,AA"}}]}
                ]
            },
            id="a file that comes along",
        ),
        pytest.param(
            {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,files/a"}}]}]},
            id="a picture that comes along",
        ),
        pytest.param(
            {"generationConfig": {"responseSchema": {"properties": {"fileUri": {"type": "STRING"}, "uri": {}}}}},
            id="a schema",
        ),
    ],
)
def test_what_is_only_data_names_nothing(body: dict[str, Any]) -> None:
    assert references(fields(body)) == ()


def test_what_functions_give_back_is_read_in_its_order() -> None:
    a, b, c, d = ({"type": "image", "uri": f"files/{name}"} for name in "abcd")
    results = [{"type": "function_result", "result": {"items": [a, b], "more": c}}, d]
    assert references(fields({"input": results})) == ("files/a", "files/b", "files/c", "files/d")


@pytest.mark.parametrize(
    "result",
    [
        {"uri": "https://cars.example/1", "model": "Civic", "year": 2020},
        {"type": "image", "model": "Canon EOS"},
        {
            "type": "image",
            "uri": "files/a1",
            "model": "Canon EOS",
            "credential": "x",
            "mime_type": "a",
            "mimeType": "b",
        },
        {"uri": "/files/readme.md"},
    ],
)
def test_what_a_function_gives_back_may_be_called_as_fields_of_a_request_are(result: dict[str, Any]) -> None:
    found = fields({"model": "gemini-2.5-flash", "input": [{"type": "function_result", "result": result}]})
    assert [value for path, value in found if path[-1] in ("model", "credential")] == ["gemini-2.5-flash"]
    assert references(found) == (("files/a1",) if result["uri" if "uri" in result else "type"] == "files/a1" else ())


def test_each_is_named_once_in_the_order_of_the_body() -> None:
    parts = [{"fileData": {"fileUri": f"files/{name}"}} for name in ("b", "a", "b")]
    assert references(fields({"contents": [{"parts": parts}], "cachedContent": "cachedContents/c"})) == (
        "files/b",
        "files/a",
        "cachedContents/c",
    )


def test_the_files_of_an_answer_are_those_that_the_provider_made() -> None:
    video = {"video": {"uri": f"{GOOGLE}/v1beta/files/v1:download?alt=media"}}
    operation = {"done": True, "response": {"generateVideoResponse": {"generatedSamples": [video]}}}
    assert files_made(operation) == ("files/v1",)
    steps = [
        {"type": "model_output", "content": [{"type": "image", "uri": f"{GOOGLE}/v1/files/p1"}]},
        {"type": "function_call", "arguments": {"uri": "files/stolen"}},
        {"type": "model_output", "content": [{"type": "text", "text": "files/said"}]},
    ]
    assert files_made({"steps": steps, "status": "completed"}) == ("files/p1",)
    assert files_made({"response": {"videos": [{"gcsUri": "gs://bucket/1.mp4"}]}}) == ()
