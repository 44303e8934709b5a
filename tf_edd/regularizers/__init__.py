"""Terms that join the loss of the weights, of the logits, or of both."""
