"""The pages, and what can be done on each."""
