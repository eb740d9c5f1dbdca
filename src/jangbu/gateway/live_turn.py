"""The turn of a Live session: what its messages say of it, and what is held for it."""

from dataclasses import dataclass, field

from jangbu.gateway.calls import MeteredCall
from jangbu.metering.key_limits import Admission
from jangbu.providers.gemini import StreamMeter
from jangbu.providers.gemini.live_messages import ServerMessage

__all__ = ["Turn"]


@dataclass(slots=True)
class Turn:
    """What is known of the turn that is open."""

    meter: StreamMeter
    is_asked: bool
    is_asked_again: bool = False
    """Whether the client asked for what this turn does not answer."""
    is_answering: bool = False
    has_begun: bool = False
    """Whether the model itself said something in it, or called a function."""
    is_calling: bool = False
    """Whether the model waits for what a function gives."""
    is_interrupted: bool = False
    is_over: bool = False
    is_refused: bool = False
    calls: list[MeteredCall] = field(default_factory=list)
    """The call that it is recorded as, then those that hold for what it heard beyond that."""
    admission: Admission | None = None
    """What counts it under the limits of the key, where that has any."""
    room: int = 0
    renewed_at: float = 0.0

    @property
    def tokens_most(self) -> int:
        """The most tokens that the turn has come to by now, context and all; 0 where nothing is held for it."""
        bounds = [call.call.bounds for call in self.calls]
        return sum((each.input_most or 0) + (each.output_most if self.is_answering else 0) for each in bounds)

    def follow(self, message: ServerMessage) -> None:
        """Note what the provider says in this turn."""
        self.is_answering |= message.begins or (bool(self.calls) and message.answers)
        # The turn that interrupts another may report both.
        self.is_interrupted |= message.is_interrupted
        # The end that follows a report is that of the turn before: nothing of this one has come yet.
        self.has_begun |= message.begins
        self.is_over |= message.completes and self.has_begun and not self.is_interrupted
        if message.begins:
            # The model goes on in this turn: with what its function gave, or with what it was interrupted by.
            self.is_asked_again &= not (self.is_calling or self.is_interrupted)
            self.is_calling = message.calls

    async def leave(self) -> None:
        """Have the turn count as under way no longer."""
        if self.admission is not None:
            await self.admission.end()
