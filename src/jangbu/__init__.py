"""Jangbu (장부): the account book for the Gemini tokens that an app's users spend."""

__version__ = "0.1.0"
