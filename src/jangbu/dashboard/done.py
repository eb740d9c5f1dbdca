"""What is done by a form: in the member's name, and once however often it is sent."""

from jangbu.api.requests import current_id
from jangbu.clock import new_id
from jangbu.dashboard.fields import Wrong
from jangbu.dashboard.look import Look
from jangbu.domain.members import Actor
from jangbu.errors import InvalidInput
from jangbu.metering.once import KEY_LENGTH_MAX, own_key

__all__ = ["actor_of", "key_of", "new_key", "order_of"]

_KEY_LENGTH_MAX = 100


def actor_of(look: Look) -> Actor:
    """Give who acts."""
    return Actor.of_member(look.session.member, current_id())


def new_key(look: Look) -> str:
    """Give a key for the forms of a page."""
    return str(new_id(look.ledger.clock))


def key_of(look: Look) -> str:
    """Give the key that a form was made with: sent twice, it is done once. Raises InvalidInput."""
    key = look.form.get("key", "")
    if not (0 < len(key) <= _KEY_LENGTH_MAX and key.isprintable()):
        raise Wrong("form")
    return f"dashboard:{key}"


def order_of(look: Look) -> str | None:
    """Give the order that a form is for, by the app's own number: done once for both. Raises InvalidInput."""
    order = look.form.get("order") or None
    if order is not None:
        try:
            own_key(order)
        except InvalidInput:
            raise Wrong("order", most=look.formats.number(KEY_LENGTH_MAX)) from None
    return order
