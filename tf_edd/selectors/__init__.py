"""Selectors: which cell of a trained supernet is the best."""
