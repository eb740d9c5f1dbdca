"""HTTP: what Jangbu serves to operators and apps."""
