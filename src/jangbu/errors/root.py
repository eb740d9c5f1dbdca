"""What all errors of Jangbu have in common."""

__all__ = ["JangbuError"]


class JangbuError(Exception):
    """The root: catch it to catch everything that Jangbu raises on purpose."""

    code = "failure"
    progress: tuple[int, int] | None = None  # How many were done when it broke off, and of how many.

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        """Give the message and the hint as one line."""
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        """Have it come out of another process without being made anew, which takes more than its message."""
        return BaseException.__new__, (type(self), *self.args), self.__dict__
