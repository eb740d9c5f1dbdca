"""Gemini: what Google's answers say of usage, one normaliser for each surface, one result type.

``parse`` reads a whole body, ``parse_object`` what a client library made of it, ``StreamMeter`` the bytes as they
pass. ``restate`` rebuilds a usage from the evidence kept of it. ``request`` bounds what a call can cost.
"""

from jangbu.providers.gemini.embeddings import counted
from jangbu.providers.gemini.meter import StreamMeter
from jangbu.providers.gemini.parse import parse, parse_object
from jangbu.providers.gemini.restate import restate

__all__ = ["StreamMeter", "counted", "parse", "parse_object", "restate"]
