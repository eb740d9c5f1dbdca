"""The users of the guide's design, whose ids are UUIDs."""

from uuid import NAMESPACE_URL, UUID, uuid5

from tests.torture.terms import POOR, RICH

__all__ = ["ACCOUNTS", "account_of"]


def account_of(user: str) -> UUID:
    """Give a user's id."""
    return uuid5(NAMESPACE_URL, user)


ACCOUNTS = [account_of(user) for user in (*RICH, *POOR)]
