"""One module for each surface of Gemini's API: each turns an exchange into a reply, without I/O."""
