"""What is recorded when a stored answer is fetched."""

from jangbu.domain.usage import Surface, Usage
from jangbu.sdk.later import identified
from jangbu.sdk.routes import work_name


def test_a_stored_answer_is_known_by_its_own_id_else_by_the_id_it_was_asked_for() -> None:
    name = work_name("/v1beta/interactions/v1_abc")
    assert identified(Usage(Surface.INTERACTIONS), name).response_id == "v1_abc"
    assert identified(Usage(Surface.INTERACTIONS, response_id="v1_own"), name).response_id == "v1_own"
