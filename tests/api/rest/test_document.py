"""The OpenAPI document: version 3.1, an example of everything, and each of them true."""

from typing import Any

from pydantic import BaseModel

from jangbu.api.rest.app import build
from jangbu.api.rest.frame import Route
from jangbu.api.rest.parts import ROUTES
from tests.api.rest.stage import Stage

DECLARED = [declared for routes in ROUTES for declared in routes]


async def document(api: Stage) -> Any:
    async with api.http.get(f"{api.url}/openapi.json") as found:
        assert found.status == 200
        return await found.json()


async def test_every_operation_is_described_with_its_roles_and_its_problems(api: Stage) -> None:
    found = await document(api)
    assert found["openapi"].startswith("3.1.")
    operations = {
        operation["operationId"]: operation for path in found["paths"].values() for operation in path.values()
    }
    assert set(operations) == {declared.name for declared in DECLARED}
    for declared in DECLARED:
        operation = operations[declared.name]
        assert operation["x-jangbu-roles"] == sorted(declared.roles)
        assert operation["security"] == [{"key": []}]
        assert {"400", "401", "403", "404", "429", "503", str(declared.status)} <= set(operation["responses"])
        assert "422" not in operation["responses"]
        content = operation["responses"][str(declared.status)]["content"]
        assert set(content) == set(declared.media_types or ("application/json",))
        named = {each["name"] for each in operation.get("parameters", ())}
        assert ("Idempotency-Key" in named) is declared.writes


async def test_a_file_that_is_text_is_described_as_text_and_only_parquet_as_bytes(api: Stage) -> None:
    paths = (await document(api))["paths"]
    exports = [paths[f"/api/v1/exports/{name}"]["get"] for name in ("calls", "entries", "usage")]
    for operation in exports:
        kinds = operation["responses"]["200"]["content"].items()
        described = {kind.partition(";")[0]: each["schema"].get("format") for kind, each in kinds}
        assert described == {
            "text/csv": None,
            "application/x-ndjson": None,
            "application/vnd.apache.parquet": "binary",
        }


async def test_everything_that_is_referred_to_is_there(api: Stage) -> None:
    found = await document(api)
    known = set(found["components"]["schemas"])

    def references(value: Any) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(references, value))
        if not isinstance(value, dict):
            return set()
        own = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))

    assert references(found["paths"]) | references(found["components"]) <= known


def test_every_body_and_every_answer_has_an_example_that_is_one(api: Stage) -> None:
    build(api.settings, api.ledger)
    models: set[type[BaseModel]] = {declared.answer for declared in DECLARED if declared.answer is not None}
    for declared in DECLARED:
        for annotation in declared.endpoint.__annotations__.values():
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                models.add(annotation)
    for model in models:
        extra = model.model_config.get("json_schema_extra")
        assert isinstance(extra, dict), model
        examples = extra["examples"]
        assert isinstance(examples, list)
        for each in examples:
            assert model.model_validate(each).model_fields_set, model
    assert len(models) > len(DECLARED)
    assert Route.declarations
