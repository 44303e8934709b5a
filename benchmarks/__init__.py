"""Benchmarks of tf_edd against plain implementations of the same search step."""
