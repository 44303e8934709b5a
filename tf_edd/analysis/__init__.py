"""What a search shows: counts, drawings, trajectories."""
