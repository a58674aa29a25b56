"""Use of a trained model: sampling, scoring, novelty."""
