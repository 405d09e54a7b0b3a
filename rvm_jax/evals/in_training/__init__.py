"""Evaluators that the training loop calls."""
