"""What is done with a trained model: sampling, scoring, novelty."""
