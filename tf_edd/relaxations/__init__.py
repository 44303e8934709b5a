"""From architecture logits to the probabilities that weight the candidates."""
