"""A user's own view, for the app's pages: a web component, a page for frames, and the figures of both as JSON."""
