"""Temperatures and learning rates as functions of the epoch."""
