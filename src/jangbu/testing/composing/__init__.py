"""What the fake says and what it counts: from a request's body to parts and tokens, without I/O."""
