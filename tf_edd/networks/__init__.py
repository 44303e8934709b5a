"""Networks built from a space: the supernet of the search and the final network of a genotype."""
