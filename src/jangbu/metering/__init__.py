"""Metering: the use cases, the only place that opens a transaction."""
