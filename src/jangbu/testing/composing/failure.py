"""What a request meets that is not answered."""

__all__ = ["Failure"]


class Failure(Exception):
    """A request that the fake refuses; it becomes an error reply in Google's shape."""

    def __init__(self, status: int, message: str = "", *, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
