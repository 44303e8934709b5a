"""Names of the files that one program writes and another reads; each is spelled here alone."""

GENOTYPE = "genotype.json"  # the cell of a search or of a retraining
GENOTYPES = "genotypes.jsonl"  # one line per epoch of a search: genotype, metrics, probabilities
SPACE = "space.json"  # the space of a search
RESULTS = "results.json"  # the last file that a phase writes
