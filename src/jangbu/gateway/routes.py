"""Where a request leads: the table of what is offered, and the path that the provider is asked for instead.

The target is written anew from the validated parts of the path, so that it is never what the caller wrote.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from jangbu.domain.keys import Scope
from jangbu.domain.usage import Platform, Surface
from jangbu.gateway.declared import DECLARED, Action, Billing, Declared

__all__ = ["DECLARED", "Action", "Billing", "Declared", "Route", "find", "is_model"]

RESOURCE_LENGTH_MOST = 300
"""The longest name of a resource whose owner can be written down."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,199}")
_NAMES = {
    "model": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"),
    "id": _IDENTIFIER,
    "project": _IDENTIFIER,
    "location": _IDENTIFIER,
}
_VERSIONS = {
    Platform.GEMINI_API: ("v1", "v1beta", "v1alpha"),
    Platform.VERTEX: ("v1", "v1beta1", "v1beta", "v1alpha"),
}
# Who names no version gets the one that Google's own clients used before they could choose.
_UNVERSIONED = {Platform.GEMINI_API: "v1beta", Platform.VERTEX: "v1beta1"}


_KEPT_SCOPES = frozenset({Scope.FILES, Scope.CACHES, Scope.BATCHES, Scope.INTERACTIONS})


@dataclass(frozen=True, slots=True)
class Route:
    """A request, understood.

    ``target`` is the path to ask the provider for, always with a version; it is empty where the request is refused, and
    ``reason`` then says why. ``resource`` is what belongs to somebody, by kind and id (``batches/x``,
    ``models/veo/operations/x``); on Vertex its ``project`` and ``location`` are apart. ``model`` is None where the path
    names none.
    """

    verb: str
    action: Action
    billing: Billing
    scope: Scope | None
    surface: Surface | None
    platform: Platform
    version: str
    target: str = ""
    model: str | None = None
    resource: str | None = None
    project: str | None = None
    location: str | None = None
    reason: str = ""

    @property
    def is_of_kept(self) -> bool:
        """Whether it makes, shows or lists what is kept at the provider and belongs to somebody."""
        return self.scope in _KEPT_SCOPES or self.resource is not None


@lru_cache(maxsize=1_024)
def find(method: str, segments: tuple[str, ...]) -> Route | None:
    """Give where a request leads, or None where nothing is declared: it is refused then, and never passed on.

    ``segments`` are those of ``paths.segments``. A Live session is found as the GET that its WebSocket begins with.
    """
    node, beneath = _ROOT, None
    names: dict[str, str] = {}
    for token in _tokens(segments):
        step = node.literals.get(token)
        if step is None and node.variable is not None and _NAMES[node.name].fullmatch(token):
            names[node.name], step = token, node.variable
        if step is None:
            return None if beneath is None else beneath.route(names)
        node, beneath = step, step.beneath or beneath
    leaf = node.methods.get(method) or node.methods.get("*") or beneath
    return None if leaf is None else leaf.route(names)


def is_model(name: str) -> bool:
    """Tell whether a model can be named so."""
    return _NAMES["model"].fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A line of the table in one version."""

    declared: Declared
    version: str

    def route(self, names: dict[str, str]) -> Route | None:
        line = self.declared
        resource = line.resource.format_map(names) if line.resource else None
        if resource is not None and len(resource) > RESOURCE_LENGTH_MOST:
            return None
        return Route(
            verb=line.verb,
            action=line.action,
            billing=line.billing,
            scope=line.scope,
            surface=line.surface,
            platform=line.platform,
            version=self.version,
            target="/" + line.target.format_map({**names, "version": self.version}) if line.target else "",
            model=names.get("model"),
            resource=resource,
            project=names.get("project"),
            location=names.get("location"),
            reason=line.reason,
        )


@dataclass(slots=True)
class _Node:
    """A step of the way down the table: what may come next, and what ends here."""

    literals: "dict[str, _Node]" = field(default_factory=dict)
    name: str = ""
    variable: "_Node | None" = None
    methods: dict[str, _Leaf] = field(default_factory=dict)
    beneath: _Leaf | None = None

    def next(self, token: str) -> "_Node":
        """Give the step that a token of a template leads to, and make it where it is new."""
        if not token.startswith("{"):
            return self.literals.setdefault(token, _Node())
        name = token[1:-1]
        assert self.name in ("", name), "what varies at one place has one name"
        self.name, self.variable = name, self.variable or _Node()
        return self.variable


def _tokens(segments: tuple[str, ...]) -> Iterator[str]:
    """Give the segments, with the verb of the last one apart, as ``:verb``. A second colon stays and fits nothing."""
    yield from segments[:-1]
    for last in segments[-1:]:
        name, colon, verb = last.partition(":")
        yield name
        if colon:
            yield f":{verb}"


def _grown(table: tuple[Declared, ...]) -> _Node:
    """Grow the tree of all lines in all versions, and in none where the version is a segment of its own."""
    root = _Node()
    for line in table:
        for version in _VERSIONS[line.platform]:
            _plant(root, line.template.replace("{version}", version), _Leaf(line, version))
        if "{version}/" in line.template:
            _plant(root, line.template.replace("{version}/", ""), _Leaf(line, _UNVERSIONED[line.platform]))
    return root


def _plant(root: _Node, template: str, leaf: _Leaf) -> None:
    node = root
    for token in _tokens(tuple(template.removesuffix("/**").split("/"))):
        node = node.next(token)
    if template.endswith("/**"):
        node.beneath = leaf
        return
    assert leaf.declared.method not in node.methods, "a line is declared once"
    node.methods[leaf.declared.method] = leaf


_ROOT = _grown(DECLARED)
