"""Scores of answers: reward models, the offline scorers."""
