"""The search: its loop, its batches, what it measures, and the ranking of a searched supernet."""
