"""Schema revisions: each runs hand-written SQL files of ``storage/schema``."""
