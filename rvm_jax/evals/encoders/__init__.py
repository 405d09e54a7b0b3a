"""Frozen encoders as the evaluations see them: the contract and its clients."""
