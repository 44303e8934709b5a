"""Optimizers with the semantics of the reference implementations, and the way from gradients to an update."""
