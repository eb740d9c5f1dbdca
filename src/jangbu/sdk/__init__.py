"""The google-genai wrapper: a client is instrumented beneath automatic function calling, above the HTTP library."""
