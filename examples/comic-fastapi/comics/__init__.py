"""A FastAPI app that makes comics with Gemini, through Jangbu's gateway."""
