"""Evaluators that the training loop calls at regular intervals."""
