"""What every surface's reader has in common: it is given the objects of an answer, one by one, and ends in a usage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jangbu.domain.usage import Platform, Source, Usage
from jangbu.providers.gemini.counts import Reading
from jangbu.providers.gemini.names import model_name, verbatim
from jangbu.providers.gemini.tiers import TierRead, read_platform, read_tier, usage_tier_words


@dataclass(frozen=True, slots=True)
class Context:
    """What the caller knows of an answer beside its bytes; the answer's own word goes first, save for the platform."""

    platform: Platform | None = None
    model: str | None = None
    service_tier: object = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How the bytes ended: ``whole`` unless they broke off, ``done`` when the stream said ``[DONE]``."""

    whole: bool = True
    done: bool = False


class Reader(Protocol):
    """Reads the objects of one answer. It keeps the last word, never the answer."""

    @property
    def usage_seen(self) -> bool:
        """Whether any counts were seen so far."""
        ...

    def read(self, event: Mapping[str, Any]) -> None:
        """Take the next object of the answer."""
        ...

    def finish(self, ending: Ending) -> Usage:
        """Say what the answer used."""
        ...


def source_of(reading: Reading, *, whole: bool) -> Source:
    """Judge a usage object that was found: an invalid one is worth nothing, one that broke off is partial."""
    if not reading.valid:
        return Source.NONE
    return Source.REPORTED if whole else Source.PARTIAL


def model_of(answer: Mapping[str, Any], context: Context) -> str | None:
    """Give the model that answered, else the one that the caller asked for."""
    return model_name(answer.get("modelVersion")) or model_name(answer.get("model")) or model_name(context.model)


def platform_of(answer: Mapping[str, Any], usage: Mapping[str, Any], context: Context) -> Platform:
    """Give the platform that the caller called, else the one whose fields the answer shows."""
    return context.platform or read_platform(answer, usage) or Platform.GEMINI_API


def tier_of(answer: Mapping[str, Any], usage: Mapping[str, Any], context: Context) -> TierRead:
    """Read the tier from the usage object, then the answer, then the header."""
    return read_tier(*usage_tier_words(usage), *usage_tier_words(answer), context.service_tier)


def kept(usage: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Keep one usage object as evidence."""
    return (verbatim(usage),)
