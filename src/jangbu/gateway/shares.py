"""What all calls share and there is only so much of: nobody takes all of it, whoever calls how often."""

__all__ = ["SHARE", "Shares"]

SHARE = 4
"""One user has at most the fourth part, so that four that misbehave are needed to leave nothing for others."""


class Shares:
    """So much of something, of which one user may have ``each`` at most."""

    def __init__(self, most: int, each: int) -> None:
        self.most = most
        self._each = each
        self._taken: dict[str, int] = {}
        self.in_use = 0

    def take(self, user: str, size: int = 1) -> bool:
        """Take some for a user, if there is so much left for it."""
        mine = self._taken.get(user, 0) + size
        if mine > self._each or self.in_use + size > self.most:
            return False
        self._taken[user] = mine
        self.in_use += size
        return True

    def give_back(self, user: str, size: int = 1) -> None:
        """Have some of it again. Accounts that have nothing are forgotten."""
        self.in_use -= size
        self._taken[user] -= size
        if not self._taken[user]:
            del self._taken[user]
