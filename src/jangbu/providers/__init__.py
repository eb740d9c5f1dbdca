"""Providers: the only place that knows a vendor's field names."""
