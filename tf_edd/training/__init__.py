"""What follows a search: retraining, evaluation, export."""
