"""Prices: dated price data and its loaders."""
