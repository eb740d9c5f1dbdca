"""The SDK: the google-genai wrapper and the drivers of the call's life."""
