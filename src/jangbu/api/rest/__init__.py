"""The API under ``/api/v1``: what the command shows and does, over HTTP, for keys that have a role."""
