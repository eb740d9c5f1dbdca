"""Batches, Imagen and Veo: answers that come later, or that report no tokens at all."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jangbu.testing.composing.composition import compose
from jangbu.testing.composing.counting import field
from jangbu.testing.composing.media import png
from jangbu.testing.composing.tally import distort
from jangbu.testing.surfaces.counting import predict_embeddings
from jangbu.testing.surfaces.exchange import Exchange, Reply, json_reply
from jangbu.testing.surfaces.failures import error_object
from jangbu.testing.surfaces.generate import count_usage, response_body
from jangbu.testing.surfaces.resources import Batch, Resources, found

__all__ = [
    "cancel_batch",
    "create_batch",
    "delete_batch",
    "list_batches",
    "predict",
    "predict_long_running",
    "show_batch",
    "show_operation",
]

POLLS_RUNNING = 1
"""How many times a batch is still running when it is asked for."""
_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main."


def create_batch(exchange: Exchange, resources: Resources) -> Reply:
    """Take a batch of inline requests. The creation reports no usage."""
    batch = field(exchange.body, "batch") or {}
    inline = field(field(batch, "inputConfig") or {}, "requests") or {}
    requests = field(inline, "requests") or []
    members = [_answer(exchange, entry) for entry in requests]
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
        done=_done(name, about, members, exchange.moment),
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


def list_batches(_exchange: Exchange, resources: Resources) -> Reply:
    """Answer all batches, without their responses."""
    return json_reply({"operations": [batch.running for batch in resources.batches.values()]})


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
    images = int(field(parameters, "sampleCount") or 1)
    shown: dict[str, Any] = {"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": data}] * images}
    if exchange.behaviour.finish == "SAFETY":
        shown["predictions"][-1] = {"raiFilteredReason": "The image was filtered; you were not charged for it."}
    return json_reply(shown, model=exchange.model_version)


def predict_long_running(exchange: Exchange, resources: Resources) -> Reply:
    """Start a Veo operation, which is done when it is first asked for."""
    name = exchange.ids.new(f"models/{exchange.route.model}/operations/")
    video = {"uri": f"https://generativelanguage.googleapis.com/v1beta/{exchange.ids.new('files/')}:download?alt=media"}
    generated = {"generatedSamples": [{"video": video}]}
    kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
    response = {"@type": kind, "generateVideoResponse": generated}
    resources.operations[name] = {"name": name, "done": True, "response": response}
    return json_reply({"name": name}, response_id=name, model=exchange.model_version)


def show_operation(exchange: Exchange, resources: Resources) -> Reply:
    """Answer an operation."""
    return json_reply(found(resources.operations, exchange.route.name), response_id=exchange.route.name)


def _answer(exchange: Exchange, entry: Mapping[str, Any]) -> dict[str, Any]:
    request = field(entry, "request") or {}
    metadata = {"metadata": entry["metadata"]} if "metadata" in entry else {}
    if not field(request, "contents"):
        return {"error": error_object(400)["error"], **metadata}
    single = replace(exchange, body=request)
    composition = compose(exchange.model_version, request, exchange.behaviour)
    usage = distort(count_usage(single, composition), exchange.behaviour.usage)
    return {"response": response_body(single, composition, composition.pieces, usage, exchange.ids.new()), **metadata}


def _member(response: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"response_id": response["responseId"], "usage": response.get("usageMetadata")}


def _done(name: str, about: Mapping[str, Any], members: list[dict[str, Any]], moment: str) -> dict[str, Any]:
    output = {"inlinedResponses": {"inlinedResponses": members}}
    statistics = {"requestCount": str(len(members)), "successfulRequestCount": str(len(members))}
    ended = {"state": "BATCH_STATE_SUCCEEDED", "endTime": moment, "batchStats": statistics, "output": output}
    return {
        "name": name,
        "metadata": {**about, **ended},
        "done": True,
        "response": {"@type": f"{_TYPE}GenerateContentBatchOutput", **output},
    }
