"""Steps: how a batch moves the weights and the architecture."""
