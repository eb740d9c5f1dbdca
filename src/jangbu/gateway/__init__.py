"""The gateway: Gemini's own paths, metered. A client of any language changes one URL and nothing else."""
