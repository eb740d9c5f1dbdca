"""Takes secrets out of what passes to a client."""

from collections.abc import Sequence

__all__ = ["Redaction"]

REDACTED = b"***"


class Redaction:
    """Takes secrets out of bytes that come in pieces. What may be the beginning of one at a piece's end waits.

    The provider's errors name the key that was used (``Consumer 'api_key:…' has been suspended``), also in an answer
    that begins well.
    """

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = [secret for secret in secrets if secret]
        self._kept = b""

    def passed(self, piece: bytes) -> bytes:
        """Give what may pass of the next piece."""
        content = self._kept + piece if self._kept else piece
        for secret in self._secrets:
            content = content.replace(secret, REDACTED)
        kept = max((_begun(secret, content) for secret in self._secrets), default=0)
        self._kept = content[len(content) - kept :] if kept else b""
        return content[: len(content) - kept] if kept else content

    def rest(self) -> bytes:
        """Give what waited, at the end."""
        rest, self._kept = self._kept, b""
        return rest


def _begun(secret: bytes, content: bytes) -> int:
    """Tell how many bytes at the end of the content are the beginning of the secret."""
    start = content.find(secret[:1], max(0, len(content) - len(secret) + 1))
    while start >= 0:
        if secret.startswith(content[start:]):
            return len(content) - start
        start = content.find(secret[:1], start + 1)
    return 0
