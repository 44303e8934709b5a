"""Counts, drawings, trajectories and measures of a search, and reports that compare several."""
