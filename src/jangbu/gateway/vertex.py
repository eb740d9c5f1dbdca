"""Vertex AI: calls in the app's own project, opened by a token of the gateway's own.

On Vertex the client writes the project and the location into the path. They decide whom Google bills and where data
goes, so none pass but those of the settings; a path of express mode, which names neither, is completed.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from jangbu.domain.keys import Scope
from jangbu.domain.usage import Platform
from jangbu.errors import InvalidSettings, NotOffered, NotPermitted
from jangbu.gateway.access_tokens import AccessTokens
from jangbu.gateway.routes import Billing, Route
from jangbu.gateway.upstream import Headers, Outgoing, Upstream, UpstreamAnswer, checked_origin, json_headers
from jangbu.gateway.upstream_sockets import Opened

__all__ = ["Vertex", "placed"]

UNAUTHENTICATED = 401

_VERSION = "v1"
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,199}")
_LOCATION = re.compile(r"[a-z][a-z0-9-]{0,62}")
_MULTI_REGIONS = ("us", "eu")
_OPERATION = re.compile(r"projects/[^/]+/locations/([^/]+)/(publishers/google/models/[^/]+)/operations/[^/]+")
_NAME = re.compile(r"(?:projects/([^/]+)/locations/([^/]+)/)?(publishers/[^/]+/models/[^/]+)")


def placed(vertex: "Vertex | None", route: Route) -> Route:
    """Give the route in the app's project, where it is one of Vertex's.

    Raises NotOffered where the gateway has no project, NotPermitted where the path names another project or location.
    """
    if route.platform is not Platform.VERTEX:
        return route
    if vertex is None:
        raise NotOffered("Vertex AI is not offered", hint="set JANGBU_VERTEX_PROJECT where the gateway runs")
    return vertex.placed(route)


class Vertex:
    """The app's project at Vertex AI. ``locations`` may be used; the first one is for who names none."""

    def __init__(
        self, upstream: Upstream, tokens: AccessTokens, *, project: str, locations: Sequence[str], url: str | None
    ) -> None:
        """Raises InvalidSettings."""
        if _PROJECT.fullmatch(project) is None:
            raise InvalidSettings(f"vertex_project {project[:100]!r} is no project", hint="write its id or its number")
        for location in locations:
            if _LOCATION.fullmatch(location) is None:
                raise InvalidSettings(
                    f"vertex_locations names {location[:100]!r}, which is no location",
                    hint="write them like us-central1,global",
                )
        self.project = project
        self.locations = tuple(locations)
        self._url = None if url is None else checked_origin(url, "vertex_url")
        self._upstream = upstream
        self._tokens = tokens

    def placed(self, route: Route) -> Route:
        """Give the route with the app's project and a location. Raises NotPermitted where its path names others."""
        if route.project is not None:
            self._require_project(route.project, may_be_number=_names_what_google_named(route))
            self._require_location(route.location)
            target = route.target.replace(f"/projects/{route.project}/", f"/projects/{self.project}/", 1)
            return replace(route, project=self.project, target=target)
        placed = replace(route, project=self.project, location=self.locations[0])
        if route.scope is Scope.MODELS:
            # The catalogue of models lies outside of all projects.
            return placed
        return replace(placed, target=route.target.replace("/publishers/", f"/{self._place()}/publishers/", 1))

    def model_name(self, name: str) -> tuple[str, str]:
        """Give a model's full name in the app's project, and its location, for what names it in a body (Live).

        Raises NotPermitted where it names another project or location.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            return f"{self._place()}/publishers/google/models/{name.rpartition('/')[2]}", self.locations[0]
        project, location, model = found.groups()
        if project is None:
            return f"{self._place()}/{model}", self.locations[0]
        self._require_project(project)
        self._require_location(location)
        return name, location

    def operation_name(self, route: Route, name: str) -> str:
        """Give the full name of an operation that a call of a route started, by which ``operation`` asks for it."""
        if _OPERATION.fullmatch(name) is not None:
            return name
        place = f"projects/{self.project}/locations/{route.location}"
        return f"{place}/publishers/google/models/{route.model}/operations/{name.rpartition('/')[2]}"

    async def operation(self, name: str) -> UpstreamAnswer:
        """Ask how the operation of a full name stands. Raises UpstreamFailure."""
        found = _OPERATION.fullmatch(name)
        assert found is not None, "operation_name wrote it"
        location, model = found.groups()
        target = f"/{_VERSION}/projects/{self.project}/locations/{location}/{model}:fetchPredictOperation"
        body = json.dumps({"operationName": name}).encode()
        return await self.send(Outgoing("POST", target, json_headers(), body), location)

    def origin(self, location: str | None) -> str:
        """Give the address that serves a location."""
        location = location or self.locations[0]
        if self._url is not None:
            return self._url
        if location == "global":
            return "https://aiplatform.googleapis.com"
        if location in _MULTI_REGIONS:
            return f"https://aiplatform.{location}.rep.googleapis.com"
        return f"https://{location}-aiplatform.googleapis.com"

    async def send(self, outgoing: Outgoing, location: str | None) -> UpstreamAnswer:
        """Make a call; with another token where the first one is refused. Raises UpstreamFailure."""
        outgoing = replace(outgoing, target=self.origin(location) + outgoing.target)
        credentials = await self._tokens.headers()
        answer = await self._upstream.send_with(outgoing, credentials)
        if answer.status != UNAUTHENTICATED:
            return answer
        answer.close()
        return await self._upstream.send_with(outgoing, await self._tokens.renewed(credentials))

    async def connect(
        self, target: str, location: str | None, headers: Headers, first: str | bytes, *, message_bytes: int
    ) -> Opened:
        """Open a session, whose messages have at most ``message_bytes``. Raises UpstreamFailure."""
        credentials = await self._tokens.headers()
        return await self._upstream.connect_with(
            self.origin(location) + target, headers, credentials, first, message_bytes=message_bytes
        )

    async def close(self) -> None:
        """Let go of what is under way."""
        await self._tokens.close()

    def _place(self) -> str:
        return f"projects/{self.project}/locations/{self.locations[0]}"

    def _require_project(self, named: str, *, may_be_number: bool = False) -> None:
        if named != self.project and not (may_be_number and named.isdecimal()):
            raise NotPermitted(
                f"the gateway calls Vertex AI in project {self.project} only", hint="set it as the client's project"
            )

    def _require_location(self, named: str | None) -> None:
        if named not in self.locations:
            raise NotPermitted(
                f"the gateway calls Vertex AI in {' and '.join(self.locations)} only",
                hint="set it as the client's location, or add yours to JANGBU_VERTEX_LOCATIONS",
            )


def _names_what_google_named(route: Route) -> bool:
    """Tell whether the path is a name that Google gave: it writes a project's number where others write its id."""
    return route.resource is not None or route.billing is Billing.RESULT
