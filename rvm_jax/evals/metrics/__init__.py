"""Scores that compare predictions with the truth."""
