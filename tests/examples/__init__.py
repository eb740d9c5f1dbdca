"""The examples, run as they stand: real HTTP, a real gateway, a fake Gemini."""
