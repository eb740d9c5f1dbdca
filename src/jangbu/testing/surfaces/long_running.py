"""Batches, Imagen and Veo: answers that come later, or that report no tokens at all."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jangbu.testing.composing.composition import compose
from jangbu.testing.composing.counting import field
from jangbu.testing.composing.limits import IMAGES_MOST, number_asked
from jangbu.testing.composing.media import png
from jangbu.testing.composing.tally import distort
from jangbu.testing.surfaces.counting import predict_embeddings
from jangbu.testing.surfaces.exchange import Exchange, Reply, encode, json_reply
from jangbu.testing.surfaces.failures import error_object
from jangbu.testing.surfaces.generate import count_usage, response_body
from jangbu.testing.surfaces.resources import Batch, Resources, Upload, found, page
from jangbu.testing.surfaces.stored import keep_file

__all__ = [
    "cancel_batch",
    "create_batch",
    "delete_batch",
    "fetch_operation",
    "list_batches",
    "predict",
    "predict_long_running",
    "show_batch",
    "show_operation",
]

POLLS_RUNNING = 1
"""How many times a batch is still running when it is asked for."""
_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main."
_VERTEX_VIDEOS = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"


def create_batch(exchange: Exchange, resources: Resources) -> Reply:
    """Take a batch, of inline requests or of those in a file of JSON lines. The creation reports no usage."""
    batch = field(exchange.body, "batch") or {}
    given = field(batch, "inputConfig") or {}
    file = field(given, "fileName")
    requests = _lines(resources, file) if file else field(field(given, "requests") or {}, "requests") or []
    members = [_answer(exchange, entry) for entry in requests]
    output = _result_file(exchange, resources, members) if file else {"inlinedResponses": {"inlinedResponses": members}}
    name = exchange.ids.new("batches/").lower()
    about = {
        "@type": f"{_TYPE}GenerateContentBatch",
        "model": f"models/{exchange.route.model}",
        "displayName": field(batch, "displayName") or "",
        "createTime": exchange.moment,
        "updateTime": exchange.moment,
        "batchStats": {"requestCount": str(len(members)), "pendingRequestCount": str(len(members))},
        "name": name,
    }
    resources.batches[name] = Batch(
        running={"name": name, "metadata": {**about, "state": "BATCH_STATE_RUNNING"}},
        done=_done(name, about, output, exchange.moment),
        members=tuple(_member(member["response"]) for member in members if "response" in member),
        polls_left=POLLS_RUNNING,
    )
    return json_reply({"name": name, "metadata": {**about, "state": "BATCH_STATE_PENDING"}}, response_id=name)


def show_batch(exchange: Exchange, resources: Resources) -> Reply:
    """Answer a batch: running at first, then with each response under both ``metadata.output`` and ``response``."""
    batch: Batch = found(resources.batches, exchange.route.name)
    if batch.polls_left > 0:
        batch.polls_left -= 1
        return json_reply(batch.running, response_id=exchange.route.name)
    return json_reply(batch.done, members=batch.members, response_id=exchange.route.name)


def list_batches(exchange: Exchange, resources: Resources) -> Reply:
    """Answer the batches, without their responses."""
    return page(exchange, "operations", [batch.running for batch in resources.batches.values()])


def cancel_batch(exchange: Exchange, resources: Resources) -> Reply:
    """Cancel a batch: nothing of it was generated."""
    batch: Batch = found(resources.batches, exchange.route.name)
    about = {**batch.running["metadata"], "state": "BATCH_STATE_CANCELLED"}
    batch.done = {"name": exchange.route.name, "metadata": about, "done": True}
    batch.members, batch.polls_left = (), 0
    return json_reply({})


def delete_batch(exchange: Exchange, resources: Resources) -> Reply:
    """Forget a batch."""
    found(resources.batches, exchange.route.name)
    del resources.batches[exchange.route.name]
    return json_reply({})


def predict(exchange: Exchange, _resources: Resources) -> Reply:
    """Answer Imagen's predict (images, no usage), and Vertex's for embedding models."""
    if "embedding" in exchange.route.model:
        return predict_embeddings(exchange)
    parameters = field(exchange.body, "parameters") or {}
    data = png(exchange.behaviour.image_bytes or 0)
    images = number_asked("sampleCount", field(parameters, "sampleCount"), most=IMAGES_MOST)
    shown: dict[str, Any] = {"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": data}] * images}
    if exchange.behaviour.finish == "SAFETY":
        shown["predictions"][-1] = {"raiFilteredReason": "The image was filtered; you were not charged for it."}
    return json_reply(shown, model=exchange.model_version)


def predict_long_running(exchange: Exchange, resources: Resources) -> Reply:
    """Start a Veo operation, which is done when it is first asked for."""
    name = exchange.ids.new(f"models/{exchange.route.model}/operations/")
    file = keep_file(exchange, resources, Upload("video/mp4", "", bytearray(b"\0\0\0\x18ftypmp42")))
    video = {"uri": f"{file['uri']}:download?alt=media"}
    generated = {"generatedSamples": [{"video": video}]}
    kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
    response: dict[str, Any] = {"@type": kind, "generateVideoResponse": generated}
    parent = exchange.request.path.partition("/projects/")[2].rpartition("/models/")[0]
    shown = f"projects/{parent}/{name}" if parent else name
    if exchange.route.vertex:
        response = {"@type": _VERTEX_VIDEOS, "videos": [{"gcsUri": "gs://videos/1.mp4", "mimeType": "video/mp4"}]}
    resources.operations[name] = {"name": shown, "done": True, "response": response}
    return json_reply({"name": shown}, response_id=name, model=exchange.model_version)


def show_operation(exchange: Exchange, resources: Resources) -> Reply:
    """Answer an operation."""
    return json_reply(found(resources.operations, exchange.route.name), response_id=exchange.route.name)


def fetch_operation(exchange: Exchange, resources: Resources) -> Reply:
    """Answer an operation that Vertex's clients name in the body, with its project and location."""
    name = str(field(exchange.body, "operationName"))
    name = name[max(name.find("models/"), 0) :]
    return json_reply(found(resources.operations, name), response_id=name)


def _answer(exchange: Exchange, entry: Mapping[str, Any]) -> dict[str, Any]:
    request = field(entry, "request") or {}
    metadata = {name: entry[name] for name in ("metadata", "key") if name in entry}
    if not field(request, "contents"):
        return {"error": error_object(400)["error"], **metadata}
    single = replace(exchange, body=request)
    composition = compose(exchange.model_version, request, exchange.behaviour)
    usage = distort(count_usage(single, composition), exchange.behaviour.usage)
    return {"response": response_body(single, composition, composition.pieces, usage, exchange.ids.new()), **metadata}


def _member(response: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"response_id": response["responseId"], "usage": response.get("usageMetadata")}


def _lines(resources: Resources, file: str) -> list[dict[str, Any]]:
    found(resources.files, file)
    return [json.loads(line) for line in resources.file_data[file].splitlines() if line.strip()]


def _result_file(exchange: Exchange, resources: Resources, members: list[dict[str, Any]]) -> dict[str, Any]:
    """Keep the answers as a file of JSON lines."""
    upload = Upload("application/jsonl", "", bytearray(b"".join(encode(member) + b"\n" for member in members)))
    return {"responsesFile": keep_file(exchange, resources, upload)["name"]}


def _done(name: str, about: Mapping[str, Any], output: Mapping[str, Any], moment: str) -> dict[str, Any]:
    count = about["batchStats"]["requestCount"]
    statistics = {"requestCount": count, "successfulRequestCount": count}
    ended = {"state": "BATCH_STATE_SUCCEEDED", "endTime": moment, "batchStats": statistics, "output": output}
    return {
        "name": name,
        "metadata": {**about, **ended},
        "done": True,
        "response": {"@type": f"{_TYPE}GenerateContentBatchOutput", **output},
    }
