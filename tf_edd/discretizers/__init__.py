"""From the probabilities of a search to a genotype."""
