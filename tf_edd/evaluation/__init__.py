"""Losses and accuracies of supernets, cells and final networks."""
