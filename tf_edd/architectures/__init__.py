"""What a search finds: genotypes, their genes, the logits they come from, and tables of trained ones."""
