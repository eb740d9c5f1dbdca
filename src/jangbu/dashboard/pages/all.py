"""All pages, in the order of the menu."""

from jangbu.dashboard.page import Page
from jangbu.dashboard.pages import alerts, call, overview, prices, user

__all__ = ["PAGES"]

PAGES: tuple[Page, ...] = (overview.PAGE, alerts.PAGE, prices.PAGE, user.PAGE, call.PAGE)
